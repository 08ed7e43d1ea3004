"""Answers kept for repeated creates."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from history_service.tables.schema import SCHEMA, belongs_to_conversation


class AnswerRow(SQLModel, table=True):
    """The answer to a create, under its `Idempotency-Key`; it goes with the conversation that it tells of.

    `request_digest` is SHA-256 over path and body: the same key with another request is a mistake of the caller's.
    """

    __tablename__ = "answers"  # pyright: ignore[reportAssignmentType] - SQLModel declares it for a function
    __table_args__ = (
        belongs_to_conversation("answers_conversation"),
        CheckConstraint("user_id <> ''", name="answers_user_id_check"),
        Index("answers_by_age", "created_at"),
        Index("answers_by_conversation", "user_id", "conversation_id"),
        {"schema": SCHEMA},
    )

    user_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_digest: str
    answer: str | None = None
    conversation_id: str | None = None
    created_at: datetime = Field(sa_column_kwargs={"server_default": text("clock_timestamp()")})


answers = SQLModel.metadata.tables[f"{SCHEMA}.answers"]
