"""What one ChatKit request carries through the SDK: who asks, and what the request has brought about so far."""

from dataclasses import dataclass

from chat_service.services.tool_outputs import ToolOutput
from contracts.conversations import ConversationPut
from contracts.runs import Run
from history_client import UserHistory


@dataclass
class ChatContext:
    """The SDK's per-request context."""

    history: UserHistory

    thread_id: str | None = None
    """The only thread that the caller may touch; None for all of the user's."""

    new_thread_id: str | None = None
    """The id that the SDK was given for a new thread."""

    new_conversation: ConversationPut | None = None
    """A conversation that is stored together with its first message."""

    retry_after: str | None = None
    """The message that shall be answered anew: what follows it goes when the new run comes, not before."""

    tool_output: ToolOutput | None = None
    """What a client's tool gave: stored with the run that answers it."""

    run: Run | None = None
    """The run whose events follow the SDK's own; None while there is none."""

    failure: Exception | None = None
    """What went wrong where the SDK would turn it into an event although nothing was streamed yet."""
