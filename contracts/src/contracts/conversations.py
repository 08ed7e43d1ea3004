"""Conversations, their items and messages, as the history-service speaks of them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

TITLE_MAX_LENGTH = 200

Role = Literal["user", "assistant"]
ToolCallStatus = Literal["in_progress", "completed", "failed"]
MessageStatus = Literal["completed", "incomplete"]
"""`incomplete`: a text that was cut off, because its run was cancelled, failed or ran out of time."""

JsonObject = dict[str, Any]

THREAD_STATUSES = ("active", "locked", "closed")

MessageKind = Literal[
    "user_message",
    "assistant_message",
    "client_tool_call",
    "widget",
    "generated_image",
    "structured_input",
    "task",
    "workflow",
    "end_of_turn",
    "hidden_context_item",
    "sdk_hidden_context",
]
"""The 11 item types of `chatkit.types.ThreadItem`; the last two are never sent to a browser."""


class Wire(BaseModel):
    """Base of what is sent between services: unknown fields are an error, not a silent loss."""

    model_config = ConfigDict(extra="forbid")


class ToolCall(Wire):
    """One call of a tool: the intent before it runs (`in_progress`), then its result.

    `id` is the model's call id, `output` the tool's answer as text.
    """

    id: str
    name: str
    arguments: JsonObject = Field(default_factory=dict)
    output: str | None = None
    status: ToolCallStatus = "in_progress"


class Conversation(Wire):
    """A conversation; its id is the ChatKit thread id. `status` is ChatKit's thread status object."""

    id: str
    user_id: str
    title: str | None = None
    status: JsonObject = Field(default_factory=lambda: {"type": "active"})
    metadata: JsonObject = Field(default_factory=dict)
    allowed_image_domains: list[str] | None = None
    created_at: datetime
    updated_at: datetime


class ConversationCreate(Wire):
    """A new conversation. Without an id, one is made."""

    id: str | None = None
    title: str | None = Field(default=None, max_length=TITLE_MAX_LENGTH)
    metadata: JsonObject = Field(default_factory=dict)


def _check_status(status: JsonObject) -> JsonObject:
    if status.get("type") not in THREAD_STATUSES or not isinstance(status.get("reason"), str | None):
        raise ValueError("not a thread status of ChatKit's")
    return status


ThreadStatus = Annotated[
    JsonObject,
    AfterValidator(_check_status),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {"type": {"enum": list(THREAD_STATUSES)}, "reason": {"type": ["string", "null"]}},
            "required": ["type"],
        }
    ),
]
"""A `chatkit.types.ThreadStatus`: anything else could be stored, and no page could list it afterwards."""


class ConversationPut(Wire):
    """The whole of a ChatKit `ThreadMetadata`, created or replaced under its id."""

    id: str
    title: str | None = Field(default=None, max_length=TITLE_MAX_LENGTH)
    status: ThreadStatus = Field(default_factory=lambda: {"type": "active"})
    metadata: JsonObject = Field(default_factory=dict)
    allowed_image_domains: list[str] | None = None
    created_at: datetime


class ConversationPatch(Wire):
    """Fields to change; what is left out stays."""

    title: str | None = Field(default=None, max_length=TITLE_MAX_LENGTH)
    status: ThreadStatus | None = None
    metadata: JsonObject | None = None


class Message(Wire):
    """REST projection of an item: `content` is plain text, `position` its order in the conversation."""

    id: str
    conversation_id: str
    role: Role
    kind: MessageKind
    content: str
    tool_calls: list[ToolCall] = Field(default_factory=list[ToolCall])
    status: MessageStatus = "completed"
    run_id: str | None = None
    position: int
    created_at: datetime


class ItemPut(Wire):
    """An item to store: the exact ChatKit item, the tool calls it stands for, and whether its text is whole."""

    payload: JsonObject
    tool_calls: list[ToolCall] = Field(default_factory=list[ToolCall])
    status: MessageStatus = "completed"
