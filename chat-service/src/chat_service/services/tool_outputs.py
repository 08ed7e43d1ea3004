"""What a client's tool gave: stored with the one run that answers it, however often the request comes."""

import hashlib
from dataclasses import dataclass
from typing import Any

from chat_service.errors import ItemConflictError
from contracts.conversations import JsonObject
from history_client import UserHistory


@dataclass(frozen=True)
class ToolOutput:
    """A call of a client's tool with its output, and the id of the run that shall answer it."""

    call: JsonObject
    run_id: str


async def output_of(history: UserHistory, thread_id: str, output: Any) -> ToolOutput:
    """Return the call that the thread ends with, with this output; the history-service refuses a second, other one.

    Raises HistoryError, and ItemConflictError if there is no such call.
    """
    newest = (await history.list_items(thread_id, limit=1, order="desc")).data
    if not newest or newest[0].get("type") != "client_tool_call":
        raise ItemConflictError()
    call = newest[0]
    return ToolOutput({**call, "status": "completed", "output": output}, _run_id_of(call))


def _run_id_of(call: JsonObject) -> str:
    """Return the same id for the same call each time: the history-service creates no second run with it."""
    name = ":".join(str(call.get(part)) for part in ("thread_id", "id", "call_id"))
    return f"run_{hashlib.sha256(name.encode()).hexdigest()[:32]}"
