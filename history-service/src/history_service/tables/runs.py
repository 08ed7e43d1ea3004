"""Runs."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from contracts.runs import RunStatus
from history_service.tables.schema import SCHEMA, belongs_to_conversation, one_of


class RunRow(SQLModel, table=True):
    """A run. `number` is the order of creation; `message_position` how far the run's context reaches."""

    __tablename__ = "runs"  # pyright: ignore[reportAssignmentType] - SQLModel declares it for a function
    __table_args__ = (
        belongs_to_conversation("runs_conversation"),
        UniqueConstraint("conversation_id", "number", name="runs_order"),
        Index("runs_unfinished", "number", postgresql_where=text("status IN ('queued', 'in_progress')")),
        Index(
            "runs_unfinished_by_conversation",
            *("user_id", "conversation_id", "number"),
            postgresql_where=text("status IN ('queued', 'in_progress')"),
        ),
        Index("runs_one_active", "conversation_id", unique=True, postgresql_where=text("status = 'in_progress'")),
        CheckConstraint(one_of("status", RunStatus), name="runs_status_check"),
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
    releases: int = Field(sa_column_kwargs={"server_default": "0"})
    """How many of the attempts were given back by their workers."""

    worker_id: str | None = None
    lease_expires_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    usage: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    created_at: datetime = Field(sa_column_kwargs={"server_default": text("clock_timestamp()")})
    started_at: datetime | None = None
    finished_at: datetime | None = None


runs = SQLModel.metadata.tables[f"{SCHEMA}.runs"]
