"""The todo list: tasks as the REST face and the MCP tools of `task_tools` give them."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from contracts.conversations import Wire

TASK_TITLE_MAX_LENGTH = 200
TASK_DESCRIPTION_MAX_LENGTH = 2000

TaskStatus = Literal["pending", "completed"]

TOKEN_META_KEY = "threadkeep/token"  # noqa: S105 - the name of a `_meta` key, not a secret
"""`_meta` key of an MCP tool call that carries the run token."""

IDEMPOTENCY_META_KEY = "threadkeep/idempotency-key"
"""`_meta` key of an MCP tool call that makes it act once: `<run id>:<call id>`."""


class Task(Wire):
    """A todo. `completed` and `status` say the same thing, for programs and for people."""

    id: str
    title: str
    description: str | None = None
    completed: bool = False
    status: TaskStatus = "pending"
    created_at: datetime
    updated_at: datetime


class TaskCreate(Wire):
    """A new todo."""

    title: str = Field(min_length=1, max_length=TASK_TITLE_MAX_LENGTH)
    description: str | None = Field(default=None, max_length=TASK_DESCRIPTION_MAX_LENGTH)


class TaskPatch(Wire):
    """Fields to change; what is left out stays."""

    title: str | None = Field(default=None, min_length=1, max_length=TASK_TITLE_MAX_LENGTH)
    description: str | None = Field(default=None, max_length=TASK_DESCRIPTION_MAX_LENGTH)
    completed: bool | None = None
