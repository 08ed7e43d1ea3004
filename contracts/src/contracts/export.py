"""Exports: all that is stored of a conversation, as one JSON document, or of a user, as NDJSON (one record per line).

A user's export is a header, then conversation by conversation its records in the order of `ExportRecord`, then the
attachments that are in no conversation, then an end. It is read in many short transactions, so it is no snapshot:
what exists throughout is there, and what changes meanwhile is there as it was when its turn came. It is complete if,
and only if, it has its end, whose counts are those of the lines before.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from contracts.attachments import Attachment
from contracts.conversations import Conversation, JsonObject, MessageKind, MessageStatus, Role, ToolCall, Wire
from contracts.feedback import Feedback
from contracts.runs import Run

EXPORT_FORMAT = "threadkeep.export"
CONVERSATION_EXPORT_FORMAT = "threadkeep.conversation"
EXPORT_VERSION = 1
"""Goes up when a reader of the last version could misread the new one."""


class ExportedItem(Wire):
    """An item with all that is derived from it; `payload` is the exact ChatKit item.

    `openai_item` is the exact item of OpenAI's, if it came as one.
    """

    conversation_id: str
    id: str
    position: int
    role: Role
    kind: MessageKind
    content: str
    tool_calls: list[ToolCall]
    status: MessageStatus = "completed"
    hidden: bool
    run_id: str | None
    created_at: datetime
    openai_item: JsonObject | None = None
    payload: JsonObject


class ExportHeader(Wire):
    """The first line."""

    type: Literal["header"] = "header"
    format: Literal["threadkeep.export"] = EXPORT_FORMAT
    version: int = EXPORT_VERSION
    user_id: str
    started_at: datetime


class ExportCounts(Wire):
    """How many records of each kind there were."""

    conversations: int = 0
    items: int = 0
    runs: int = 0
    feedback: int = 0
    attachments: int = 0


class ConversationRecord(Wire):
    """A line with a conversation; its items, runs, feedback and attachments follow."""

    type: Literal["conversation"] = "conversation"
    data: Conversation


class ItemRecord(Wire):
    """A line with an item, in order of position."""

    type: Literal["item"] = "item"
    data: ExportedItem


class RunRecord(Wire):
    """A line with a run, in order of creation."""

    type: Literal["run"] = "run"
    data: Run


class FeedbackRecord(Wire):
    """A line with an opinion of an item."""

    type: Literal["feedback"] = "feedback"
    data: Feedback


class AttachmentRecord(Wire):
    """A line with what is known of an attachment; its bytes are fetched by its id."""

    type: Literal["attachment"] = "attachment"
    data: Attachment


class ExportEnd(Wire):
    """The last line: without it, the export was cut off."""

    type: Literal["end"] = "end"
    counts: ExportCounts
    finished_at: datetime


ExportRecord = Annotated[
    ExportHeader | ConversationRecord | ItemRecord | RunRecord | FeedbackRecord | AttachmentRecord | ExportEnd,
    Field(discriminator="type"),
]
"""A line of a user's export."""


class ConversationExport(Wire):
    """All that is stored of one conversation."""

    format: Literal["threadkeep.conversation"] = CONVERSATION_EXPORT_FORMAT
    version: int = EXPORT_VERSION
    exported_at: datetime
    conversation: Conversation
    items: list[ExportedItem]
    runs: list[Run]
    feedback: list[Feedback]
    attachments: list[Attachment]
