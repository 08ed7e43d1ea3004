"""The main chat endpoint: a message in, an answer out."""

from pydantic import Field

from contracts.conversations import ToolCall, Wire
from contracts.runs import Run

MESSAGE_MAX_LENGTH = 100_000

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.:\-]{0,127}$"


class ChatRequest(Wire):
    """What the user says; without a conversation, a new one begins."""

    message: str = Field(min_length=1, max_length=MESSAGE_MAX_LENGTH)
    conversation_id: str | None = Field(default=None, pattern=ID_PATTERN)


class ChatAnswer(Wire):
    """What the run has brought about: all of it once `run.status` is a terminal one, else what there is so far.

    `answer` is the assistant's text, its messages separated by an empty line.
    """

    conversation_id: str
    run: Run
    answer: str
    tool_calls: list[ToolCall] = Field(default_factory=list[ToolCall])
