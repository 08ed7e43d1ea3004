"""The tables of schema `history`, imported by `storage` alone. The migrations make them; a test compares both."""

from datetime import datetime
from typing import Any, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    PrimaryKeyConstraint,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlmodel import Field, SQLModel

from contracts.conversations import TITLE_MAX_LENGTH, MessageKind, Role
from contracts.runs import RunStatus

SCHEMA = "history"


def _one_of(column: str, literal: object) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in get_args(literal))})"


def _belongs_to_conversation(name: str) -> ForeignKeyConstraint:
    """Reference owner and id, so that nobody can put a row of their own into somebody else's conversation."""
    owner_and_id = [f"{SCHEMA}.conversations.user_id", f"{SCHEMA}.conversations.id"]
    return ForeignKeyConstraint(["user_id", "conversation_id"], owner_and_id, name=name, ondelete="CASCADE")


class ConversationRow(SQLModel, table=True):
    """A conversation. `last_position` counts the items ever appended: it hands out positions."""

    __tablename__ = "conversations"  # pyright: ignore[reportAssignmentType] - SQLModel declares it for a function
    __table_args__ = (
        UniqueConstraint("user_id", "id", name="conversations_owner"),
        CheckConstraint("user_id <> ''", name="conversations_user_id_check"),
        CheckConstraint(f"char_length(title) <= {TITLE_MAX_LENGTH}", name="conversations_title_check"),
        CheckConstraint("jsonb_typeof(status) = 'object'", name="conversations_status_check"),
        CheckConstraint("jsonb_typeof(metadata) = 'object'", name="conversations_metadata_check"),
        Index("conversations_by_update", "user_id", "updated_at", "id"),
        {"schema": SCHEMA},
    )

    id: str = Field(primary_key=True)
    user_id: str
    title: str | None = None
    status: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    metadata_: dict[str, Any] = Field(sa_column=Column("metadata", JSONB, nullable=False))
    allowed_image_domains: list[str] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    last_position: int = Field(sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    created_at: datetime
    updated_at: datetime


class MessageRow(SQLModel, table=True):
    """An item of a conversation, in every projection of it.

    `payload` is `json`, not `jsonb`: it is returned as it came (numbers and order of keys included) and never searched.
    `turn` is the position of the user message that an item answers, or its own: the model's order of reading.
    """

    __tablename__ = "messages"  # pyright: ignore[reportAssignmentType] - SQLModel declares it for a function
    __table_args__ = (
        PrimaryKeyConstraint("conversation_id", "id"),
        _belongs_to_conversation("messages_conversation"),
        UniqueConstraint("conversation_id", "position", name="messages_position"),
        Index("messages_by_turn", "conversation_id", "turn", "position"),
        CheckConstraint("position > 0", name="messages_position_check"),
        CheckConstraint(_one_of("role", Role), name="messages_role_check"),
        CheckConstraint(_one_of("kind", MessageKind), name="messages_kind_check"),
        CheckConstraint("jsonb_typeof(tool_calls) = 'array'", name="messages_tool_calls_check"),
        CheckConstraint("json_typeof(payload) = 'object'", name="messages_payload_check"),
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
    hidden: bool
    run_id: str | None = None
    created_at: datetime


class RunRow(SQLModel, table=True):
    """A run. `number` is the order of creation; `message_position` how far the run's context reaches."""

    __tablename__ = "runs"  # pyright: ignore[reportAssignmentType] - SQLModel declares it for a function
    __table_args__ = (
        _belongs_to_conversation("runs_conversation"),
        UniqueConstraint("conversation_id", "number", name="runs_order"),
        Index("runs_unfinished", "number", postgresql_where=text("status IN ('queued', 'in_progress')")),
        Index("runs_one_active", "conversation_id", unique=True, postgresql_where=text("status = 'in_progress'")),
        CheckConstraint(_one_of("status", RunStatus), name="runs_status_check"),
        CheckConstraint("attempt >= 0", name="runs_attempt_check"),
        CheckConstraint("(status = 'in_progress') = (lease_expires_at IS NOT NULL)", name="runs_lease_check"),
        CheckConstraint(
            "(status IN ('completed', 'failed', 'cancelled')) = (finished_at IS NOT NULL)", name="runs_finished_check"
        ),
        {"schema": SCHEMA},
    )

    id: str = Field(primary_key=True)
    number: int = Field(sa_column=Column(BigInteger, Identity(always=True), nullable=False))
    conversation_id: str
    user_id: str
    message_position: int = Field(sa_type=BigInteger)
    status: str = Field(sa_column_kwargs={"server_default": "queued"})
    attempt: int = Field(sa_column_kwargs={"server_default": "0"})
    worker_id: str | None = None
    lease_expires_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    usage: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    created_at: datetime = Field(sa_column_kwargs={"server_default": text("clock_timestamp()")})
    started_at: datetime | None = None
    finished_at: datetime | None = None


conversations = SQLModel.metadata.tables[f"{SCHEMA}.conversations"]
messages = SQLModel.metadata.tables[f"{SCHEMA}.messages"]
runs = SQLModel.metadata.tables[f"{SCHEMA}.runs"]
