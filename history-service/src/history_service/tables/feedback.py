"""Feedback."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, PrimaryKeyConstraint, text
from sqlmodel import Field, SQLModel

from contracts.feedback import FeedbackKind
from history_service.tables.schema import SCHEMA, belongs_to_conversation, one_of


class FeedbackRow(SQLModel, table=True):
    """The owner's opinion of an item; it goes with the item."""

    __tablename__ = "feedback"  # pyright: ignore[reportAssignmentType] - SQLModel declares it for a function
    __table_args__ = (
        PrimaryKeyConstraint("conversation_id", "item_id"),
        belongs_to_conversation("feedback_conversation"),
        ForeignKeyConstraint(
            ["conversation_id", "item_id"],
            [f"{SCHEMA}.messages.conversation_id", f"{SCHEMA}.messages.id"],
            name="feedback_item",
            ondelete="CASCADE",
        ),
        CheckConstraint(one_of("kind", FeedbackKind), name="feedback_kind_check"),
        {"schema": SCHEMA},
    )

    conversation_id: str
    item_id: str
    user_id: str
    kind: str
    created_at: datetime = Field(sa_column_kwargs={"server_default": text("clock_timestamp()")})


feedback = SQLModel.metadata.tables[f"{SCHEMA}.feedback"]
