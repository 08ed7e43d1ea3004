"""What a caller may do who is kept to one thread: everything there, and nothing elsewhere."""

from collections.abc import Mapping
from typing import Literal

from chatkit.types import ChatKitReq

from chat_service.errors import ThreadNotAllowedError
from contracts.runs import Run
from history_client import UserHistory

Rule = Literal["names its thread", "lists threads", "touches no thread", "refused"]

RULES: Mapping[str, Rule] = {
    "threads.get_by_id": "names its thread",
    "threads.create": "refused",
    "threads.list": "lists threads",
    "threads.add_user_message": "names its thread",
    "threads.add_client_tool_output": "names its thread",
    "threads.add_structured_input": "names its thread",
    "threads.custom_action": "names its thread",
    "threads.sync_custom_action": "names its thread",
    "threads.retry_after_item": "names its thread",
    "threads.update": "names its thread",
    "threads.delete": "names its thread",
    "items.list": "names its thread",
    "items.feedback": "names its thread",
    # An attachment is the user's and no thread's until it is sent.
    "attachments.create": "refused",
    "attachments.delete": "refused",
    "input.transcribe": "touches no thread",
}
"""By request type; one that is not here is refused. A list of threads is the store's to keep to the one."""


def check_request(request: ChatKitReq, thread_id: str | None) -> None:
    """Raise ThreadNotAllowedError if a caller who is kept to `thread_id` may not make the request."""
    if thread_id is None:
        return
    rule = RULES.get(request.type, "refused")
    named = rule == "names its thread" and getattr(request.params, "thread_id", None) == thread_id
    if not named and rule not in ("lists threads", "touches no thread"):
        raise ThreadNotAllowedError()


async def get_run(history: UserHistory, run_id: str, thread_id: str | None) -> Run:
    """Return a run of the user's. Raises ThreadNotAllowedError if it is not of the thread the caller is kept to."""
    run = await history.get_run(run_id)
    if thread_id not in (None, run.conversation_id):
        raise ThreadNotAllowedError()
    return run
