"""What a client's tool gave: stored in its call, and answered by one run, however often the request comes."""

import hashlib
from typing import Any

from chat_service.errors import ItemConflictError
from contracts.conversations import JsonObject
from history_client import UserHistory


async def store_output(history: UserHistory, thread_id: str, output: Any) -> str:
    """Store the output of the call that the thread ends with; returns the id of the run that shall answer it.

    A call that has this very output already stays as it is: its request came before, and may have gone no further.
    Raises HistoryError, and ItemConflictError if there is no such call, or it has got another output.
    """
    newest = (await history.list_items(thread_id, limit=1, order="desc")).data
    if not newest or newest[0].get("type") != "client_tool_call":
        raise ItemConflictError()
    call = newest[0]
    if call.get("status", "pending") == "pending":
        await history.put_item(thread_id, call["id"], {**call, "status": "completed", "output": output})
    elif call.get("output") != output:
        raise ItemConflictError()
    return _run_id_of(call)


def _run_id_of(call: JsonObject) -> str:
    """Return the same id for the same call each time: the history-service creates no second run with it."""
    name = ":".join(str(call.get(part)) for part in ("thread_id", "id", "call_id"))
    return f"run_{hashlib.sha256(name.encode()).hexdigest()[:32]}"
