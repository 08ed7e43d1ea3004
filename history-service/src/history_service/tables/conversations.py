"""Conversations."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Computed, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlmodel import Field, SQLModel

from contracts.conversations import TITLE_MAX_LENGTH
from history_service.tables.schema import SCHEMA

_WORDS = f"setweight({SCHEMA}.search_words((title)::text), 'A'::\"char\")"


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
        Index("conversations_idle", "updated_at", "id"),
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
    search: str | None = Field(sa_column=Column(TSVECTOR, Computed(_WORDS, persisted=True)))


conversations = SQLModel.metadata.tables[f"{SCHEMA}.conversations"]
