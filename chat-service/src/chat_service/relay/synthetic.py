"""Frames that the chat-service makes itself, where the worker's are missing. They carry no id: they are in no log."""

import json
from collections.abc import Mapping
from typing import Any

from contracts.conversations import JsonObject
from contracts.frames import DATA_FIELD, RUN_EVENT_LINE
from contracts.runs import Run, RunError, RunEvent, RunEventType, TerminalStatus

_EVENT_TYPES: Mapping[TerminalStatus, RunEventType] = {
    "completed": "run.completed",
    "failed": "run.failed",
    "cancelled": "run.cancelled",
}


def chatkit_event(event: Mapping[str, Any]) -> bytes:
    """Frame a ChatKit `ThreadStreamEvent`."""
    return DATA_FIELD + json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def item_done(item: JsonObject) -> bytes:
    """Frame the final state of an item."""
    return chatkit_event({"type": "thread.item.done", "item": item})


def item_removed(item_id: str) -> bytes:
    """Frame the withdrawal of an item."""
    return chatkit_event({"type": "thread.item.removed", "item_id": item_id})


def error(message: str, *, allow_retry: bool) -> bytes:
    """Frame a ChatKit `error` event; `message` is shown to the user."""
    return chatkit_event({"type": "error", "code": "custom", "message": message, "allow_retry": allow_retry})


def run_ended(run: Run) -> bytes:
    """Frame the terminal event of a run that has ended (`run.status` is terminal)."""
    kind = _EVENT_TYPES[run.status]  # pyright: ignore[reportArgumentType] - the caller's precondition
    event = RunEvent(type=kind, run_id=run.id, attempt=run.attempt, error=run.error)
    return RUN_EVENT_LINE + DATA_FIELD + event.model_dump_json(exclude_none=True).encode() + b"\n\n"


def run_failed(failure: RunError | None) -> bytes:
    """Frame what a chat is told of a failed run."""
    failure = failure or RunError(code="run_failed", message="The answer failed.")
    return error(failure.message, allow_retry=failure.allow_retry)


LOST_MESSAGE = "The answer could not be followed any longer. It may still arrive: reload the conversation to see it."
LOST = error(LOST_MESSAGE, allow_retry=True)
"""A stream ends although its run may go on: nobody could tell."""

GONE = error("This conversation was deleted.", allow_retry=False)
"""A stream ends because there is nothing left of its run."""
