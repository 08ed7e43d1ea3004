"""What is stored after all, read from the database itself: nothing stands between it and the checks."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import asyncpg

Json = dict[str, Any]

_RUNS = """SELECT id, conversation_id, user_id, message_position, status, attempt, error, started_at, finished_at
FROM history.runs ORDER BY number"""
_MESSAGES = """SELECT conversation_id, id, user_id, position, role, content, status, tool_calls, run_id
FROM history.messages WHERE NOT hidden ORDER BY conversation_id, position"""
_TASKS = "SELECT user_id, title FROM tasks.tasks"
_UNFINISHED = "SELECT count(*) FROM history.runs WHERE status IN ('queued', 'in_progress')"


@dataclass(frozen=True)
class StoredMessage:
    """An item's row."""

    id: str
    conversation_id: str
    user_id: str
    position: int
    role: str
    content: str
    status: str
    tool_calls: list[Json]
    run_id: str | None


@dataclass(frozen=True)
class StoredRun:
    """A run's row, with the message it answers and the items that it wrote."""

    id: str
    conversation_id: str
    user_id: str
    status: str
    attempt: int
    error: Json | None
    started_at: datetime | None
    finished_at: datetime | None
    question: StoredMessage | None
    items: list[StoredMessage] = field(default_factory=list[StoredMessage])

    @property
    def calls(self) -> list[Json]:
        """Its tool calls, in order."""
        return [call for item in self.items for call in item.tool_calls]

    @property
    def own_ids(self) -> set[str]:
        """Ids of the message and of all that answers it."""
        return {message.id for message in (*([self.question] if self.question else []), *self.items)}


@dataclass(frozen=True)
class Stored:
    """All of one user's: runs in order of creation, messages in order within each conversation."""

    runs: list[StoredRun] = field(default_factory=list[StoredRun])
    messages: list[StoredMessage] = field(default_factory=list[StoredMessage])
    tasks: Counter[str] = field(default_factory=Counter[str])


async def read_stored(superuser_url: str) -> dict[str, Stored]:
    """Return what there is, by user."""
    run_rows, message_rows, task_rows = await _fetch(superuser_url, _RUNS, _MESSAGES, _TASKS)
    stored: dict[str, Stored] = {}
    questions: dict[tuple[str, int], StoredMessage] = {}
    for row in message_rows:
        message = StoredMessage(tool_calls=json.loads(row.pop("tool_calls")), **row)
        stored.setdefault(message.user_id, Stored()).messages.append(message)
        questions[message.conversation_id, message.position] = message
    for row in run_rows:
        question = questions.get((row["conversation_id"], row.pop("message_position")))
        error = json.loads(row.pop("error") or "null")
        mine = stored.setdefault(row["user_id"], Stored())
        items = [message for message in mine.messages if message.run_id == row["id"]]
        mine.runs.append(StoredRun(error=error, question=question, items=items, **row))
    for row in task_rows:
        stored.setdefault(row["user_id"], Stored()).tasks[row["title"]] += 1
    return stored


async def all_ended(superuser_url: str) -> bool:
    """Tell whether no run is left that has not ended."""
    ((row,),) = await _fetch(superuser_url, _UNFINISHED)
    return row["count"] == 0


async def _fetch(url: str, *queries: str) -> list[list[Json]]:
    connection = await asyncpg.connect(url, timeout=10)  # pyright: ignore[reportUnknownVariableType]
    try:
        found = [cast("Iterable[Any]", await connection.fetch(query)) for query in queries]
        return [[dict(row) for row in rows] for rows in found]
    finally:
        await connection.close()
