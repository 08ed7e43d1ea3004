"""The message log."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Index,
    PrimaryKeyConstraint,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB, TSVECTOR
from sqlmodel import Field, SQLModel

from contracts.conversations import MessageKind, MessageStatus, Role
from history_service.tables.schema import SCHEMA, belongs_to_conversation, one_of

_OWNER = f"array_to_tsvector(ARRAY[{SCHEMA}.owner_lexeme((user_id)::text)])"
_WORDS = f"({SCHEMA}.search_words((content)::text) || {_OWNER})"


class MessageRow(SQLModel, table=True):
    """An item of a conversation, in every projection of it.

    `payload` is `json`, not `jsonb`: it is returned as it came (numbers and order of keys included) and never searched.
    `turn` is the position of the user message that an item answers, or its own: the model's order of reading.
    `search` holds the words of `content` and one lexeme that stands for the owner.
    `openai_item` is the exact item of OpenAI's, if it came as one; else the OpenAI projection is made from the payload.
    """

    __tablename__ = "messages"  # pyright: ignore[reportAssignmentType] - SQLModel declares it for a function
    __table_args__ = (
        PrimaryKeyConstraint("conversation_id", "id"),
        belongs_to_conversation("messages_conversation"),
        UniqueConstraint("conversation_id", "position", name="messages_position"),
        Index("messages_by_turn", "conversation_id", "turn", "position"),
        Index("messages_search", "search", postgresql_using="gin", postgresql_where=text("NOT hidden")),
        CheckConstraint("position > 0", name="messages_position_check"),
        CheckConstraint(one_of("role", Role), name="messages_role_check"),
        CheckConstraint(one_of("kind", MessageKind), name="messages_kind_check"),
        CheckConstraint(one_of("status", MessageStatus), name="messages_status_check"),
        CheckConstraint("jsonb_typeof(tool_calls) = 'array'", name="messages_tool_calls_check"),
        CheckConstraint("json_typeof(payload) = 'object'", name="messages_payload_check"),
        CheckConstraint("json_typeof(openai_item) = 'object'", name="messages_openai_item_check"),
        {"schema": SCHEMA},
    )

    conversation_id: str
    id: str
    user_id: str
    position: int = Field(sa_type=BigInteger)
    turn: int = Field(sa_type=BigInteger)
    role: str
    kind: str
    content: str
    tool_calls: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    payload: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    status: str = Field(sa_column_kwargs={"server_default": "completed"})
    openai_item: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    hidden: bool
    run_id: str | None = None
    created_at: datetime
    search: str | None = Field(sa_column=Column(TSVECTOR, Computed(_WORDS, persisted=True)))


messages = SQLModel.metadata.tables[f"{SCHEMA}.messages"]
