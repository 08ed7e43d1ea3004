"""The tables of schema `tasks`, imported by `storage` alone. The migrations make them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from contracts.tasks import TASK_DESCRIPTION_MAX_LENGTH, TASK_TITLE_MAX_LENGTH

SCHEMA = "tasks"
USER_ROLE = "threadkeep_tasks_user"
RETENTION_ROLE = "threadkeep_tasks_retention"
"""Deletes old calls, whoever's they are; sees whose and how old they are, and nothing else."""

_NOW = {"server_default": text("clock_timestamp()")}


class TaskRow(SQLModel, table=True):
    """A task. Ids are ordered by time, so they are the order of the list. `title_key` is what a title is found by."""

    __tablename__ = "tasks"  # pyright: ignore[reportAssignmentType] - SQLModel declares a method
    __table_args__ = (
        CheckConstraint("user_id <> ''", name="tasks_user_id_check"),
        CheckConstraint(f"char_length(title) BETWEEN 1 AND {TASK_TITLE_MAX_LENGTH}", name="tasks_title_check"),
        CheckConstraint(f"char_length(description) <= {TASK_DESCRIPTION_MAX_LENGTH}", name="tasks_description_check"),
        Index("tasks_by_owner", "user_id", "id"),
        Index("tasks_by_title", "user_id", "title_key"),
        {"schema": SCHEMA},
    )

    id: str = Field(primary_key=True)
    user_id: str
    title: str
    title_key: str
    description: str | None = None
    completed: bool = False
    created_at: datetime = Field(sa_column_kwargs=_NOW)
    updated_at: datetime = Field(sa_column_kwargs=_NOW)


class CallRow(SQLModel, table=True):
    """A tool call that has acted: its result is written in the transaction of its effect.

    `result` is text, not JSON: a repeated call gets the very same bytes.
    """

    __tablename__ = "tool_calls"  # pyright: ignore[reportAssignmentType] - SQLModel declares a method
    __table_args__ = (
        CheckConstraint("user_id <> ''", name="tool_calls_user_id_check"),
        Index("tool_calls_by_age", "created_at"),
        {"schema": SCHEMA},
    )

    user_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    tool: str
    arguments_digest: str
    result: str | None = None
    is_error: bool = False
    created_at: datetime = Field(sa_column_kwargs=_NOW)
