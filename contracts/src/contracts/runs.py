"""Runs: one execution of the agent each, from `queued` to an end that everybody sees."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from contracts.conversations import (
    TITLE_MAX_LENGTH,
    Conversation,
    ConversationPut,
    ItemPut,
    JsonObject,
    MessageKind,
    Role,
    ToolCall,
    Wire,
)

RunStatus = Literal["queued", "in_progress", "completed", "failed", "cancelled"]
TerminalStatus = Literal["completed", "failed", "cancelled"]
RunEventType = Literal["run.in_progress", "run.completed", "run.failed", "run.cancelled"]

Attempt = Annotated[int, Field(ge=0, lt=2**31)]
"""The number of an attempt to execute a run, from 1: the fencing token of its worker."""

MAX_CLAIMS = 16
"""How many runs one request can claim: its transaction keeps them locked until all are read."""

MAX_STANDINGS = 500
"""How many runs one request can ask about."""

TERMINAL_STATUSES: frozenset[str] = frozenset({"completed", "failed", "cancelled"})


class RunError(Wire):
    """Why a run failed: a stable code, a sentence for the user, and whether trying again may help."""

    code: str
    message: str
    allow_retry: bool = True


class RunUsage(Wire):
    """Model usage of a run, summed over its requests; counts of tokens."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0


class Run(Wire):
    """A run as its row tells it. `attempt` is the fencing number: 0 before the first claim."""

    id: str
    conversation_id: str
    user_id: str
    status: RunStatus
    attempt: int
    error: RunError | None = None
    usage: RunUsage | None = None
    cancel_requested_at: datetime | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class RunStanding(Wire):
    """How far a run has come, and nothing of what it is about."""

    id: str
    status: RunStatus
    attempt: int


class RunStandingsAsked(Wire):
    """Ids of runs of anybody."""

    ids: list[str] = Field(min_length=1, max_length=MAX_STANDINGS)


class RunStandings(Wire):
    """Those of the runs asked for that are there, in no order."""

    runs: list[RunStanding]


class RunCreate(Wire):
    """A run to queue, with the user's message and, for a first message, the conversation it opens.

    All of it is stored in one transaction. Repeating it with the same run id changes nothing.
    """

    id: str
    item: JsonObject | None = None
    """The user's message, or the conversation's pending `client_tool_call`, completed: that is replaced."""

    conversation: ConversationPut | None = None
    retry_after: str | None = None
    """The id of an item that shall be answered anew: all that follows it is deleted."""


class RunCreated(Wire):
    """What was stored: the run, and the message's exact item."""

    run: Run
    item: JsonObject | None = None


class RunClaim(Wire):
    """A worker asks for the oldest runs that can be executed: for as many as it has room for."""

    worker_id: str = Field(min_length=1, max_length=128)
    most: int = Field(default=1, ge=1, le=MAX_CLAIMS)


class ContextMessage(Wire):
    """A message as the model gets to see it. Items of the run itself carry its `run_id`."""

    id: str
    role: Role
    kind: MessageKind
    content: str
    tool_calls: list[ToolCall] = Field(default_factory=list[ToolCall])
    run_id: str | None = None


class Claim(Wire):
    """A claimed run: what the worker needs to execute it, in one answer.

    `token` lets the worker act for the user within this run until it expires (renewed by each heartbeat);
    `context` is oldest first and ends with what earlier attempts of this run completed. `elapsed_seconds` is how long
    ago the run's first attempt began, by the database's clock: 0 in the first.
    """

    run: Run
    conversation: Conversation
    context: list[ContextMessage]
    token: str
    lease_expires_at: datetime
    elapsed_seconds: float = Field(default=0.0, ge=0)


class Claims(Wire):
    """The runs that a worker now holds, oldest first; none if none can be executed."""

    claims: list[Claim]


class Heartbeat(Wire):
    """Renewal of a lease by the attempt that holds it."""

    attempt: Attempt


class Lease(Wire):
    """Answer to a heartbeat: the lease's new end, a fresh run token, and whether to stop."""

    token: str
    lease_expires_at: datetime
    cancel_requested: bool


class RunItemsPut(Wire):
    """Items written by an attempt, all in one transaction, created or replaced by the `id` in their payload.

    `POST /runs/{run_id}/items`; refused (409) unless that attempt holds the run. A model response is stored as a
    whole: its text and the intents of its tool calls together, so that a retry knows what remains to be done.
    """

    attempt: Attempt
    items: list[ItemPut] = Field(min_length=1)


class RunFinish(Wire):
    """The end of a run as its worker saw it, with the last items, in one transaction.

    `title` names a conversation that has none yet.
    """

    attempt: Attempt
    status: TerminalStatus
    items: list[ItemPut] = Field(default_factory=list[ItemPut])
    error: RunError | None = None
    usage: RunUsage | None = None
    title: str | None = Field(default=None, max_length=TITLE_MAX_LENGTH)


class RunEvent(Wire):
    """A frame about the run itself (`event: run`); the last one of a run is terminal."""

    type: RunEventType
    run_id: str
    attempt: int
    error: RunError | None = None

    @property
    def is_terminal(self) -> bool:
        """Tell whether nothing follows."""
        return self.type != "run.in_progress"
