"""ChatKit events and items of a run, as JSON. Shapes: `chatkit.types.ThreadStreamEvent`, checked by contract tests.

Built by hand, not through ChatKit's models: a text delta is made per token and needs no validation.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from contracts.conversations import Conversation, JsonObject, ToolCall, ToolCallStatus
from contracts.ids import time_of
from contracts.runs import RunError

BADGES: Mapping[ToolCallStatus, tuple[str, str]] = {
    "in_progress": ("Running", "info"),
    "completed": ("Success", "success"),
    "failed": ("Failed", "danger"),
}
"""Label and ChatKit colour token of a tool call's badge."""

TASKS_CHANGED_EFFECT = "tasks.changed"
_DETAIL_LENGTH = 80


def _wire_time(moment: datetime) -> str:
    """Write a time in UTC as pydantic does, so that an event and a later snapshot are the same to the byte."""
    return moment.isoformat().replace("+00:00", "Z")


def encode(event: Mapping[str, Any]) -> bytes:
    """Return the event as JSON on one line."""
    return to_json(event)


def assistant_item(item_id: str, thread_id: str, text: str | None) -> JsonObject:
    """Return an `AssistantMessageItem`; without text, one that is about to be streamed."""
    content = [] if text is None else [text_part(text)]
    return {
        "id": item_id,
        "thread_id": thread_id,
        "created_at": _wire_time(time_of(item_id)),
        "type": "assistant_message",
        "content": content,
    }


def text_part(text: str) -> JsonObject:
    """Return an `AssistantMessageContent`."""
    return {"type": "output_text", "text": text, "annotations": []}


def item_added(item: JsonObject) -> bytes:
    """An item appears."""
    return encode({"type": "thread.item.added", "item": item})


def item_done(item: JsonObject) -> bytes:
    """An item is final. Publish it only after it is stored."""
    return encode({"type": "thread.item.done", "item": item})


def item_removed(item_id: str) -> bytes:
    """An item is withdrawn."""
    return encode({"type": "thread.item.removed", "item_id": item_id})


def text_started(item_id: str) -> bytes:
    """The only content part of a streamed assistant message begins."""
    update = {"type": "assistant_message.content_part.added", "content_index": 0, "content": text_part("")}
    return encode({"type": "thread.item.updated", "item_id": item_id, "update": update})


def text_delta(item_id: str, delta: str) -> bytes:
    """The text grows."""
    return (
        b'{"type":"thread.item.updated","item_id":"%b","update":'
        b'{"type":"assistant_message.content_part.text_delta","content_index":0,"delta":%b}}'
    ) % (item_id.encode(), to_json(delta))


def text_finished(item_id: str, text: str) -> bytes:
    """The text is complete."""
    update = {"type": "assistant_message.content_part.done", "content_index": 0, "content": text_part(text)}
    return encode({"type": "thread.item.updated", "item_id": item_id, "update": update})


def progress(text: str) -> bytes:
    """What the assistant is doing, shown until something else is."""
    return encode({"type": "progress_update", "text": text})


def widget_updated(item_id: str, widget: JsonObject) -> bytes:
    """A widget shows something else."""
    update = {"type": "widget.root.updated", "widget": widget}
    return encode({"type": "thread.item.updated", "item_id": item_id, "update": update})


def client_effect(name: str, data: JsonObject) -> bytes:
    """The page should react, for instance by loading the tasks again."""
    return encode({"type": "client_effect", "name": name, "data": data})


def thread_updated(conversation: Conversation, title: str) -> bytes:
    """The conversation got a title."""
    thread: JsonObject = {
        "id": conversation.id,
        "title": title,
        "created_at": _wire_time(conversation.created_at),
        "status": conversation.status,
        "metadata": {},
        "items": {"data": [], "has_more": False},
    }
    return encode({"type": "thread.updated", "thread": thread})


def error(failure: RunError) -> bytes:
    """The run failed; ChatKit offers a retry where it may help."""
    return encode({"type": "error", "code": "custom", "message": failure.message, "allow_retry": failure.allow_retry})


def tool_title(name: str) -> str:
    """Return a tool's name as people read it."""
    return name.replace("_", " ").capitalize()


def _tool_detail(arguments: JsonObject) -> str:
    """Return the arguments in a few words: the first text among them."""
    text = next((value for value in arguments.values() if isinstance(value, str) and value), "")
    return text if len(text) <= _DETAIL_LENGTH else text[: _DETAIL_LENGTH - 1] + "…"


def tool_widget(call: ToolCall) -> JsonObject:
    """Return the card that shows a tool call: what it does, on what, and a badge."""
    label, color = BADGES[call.status]
    children: list[JsonObject] = [
        {"type": "Icon", "name": "bolt", "size": "sm"},
        {"type": "Text", "value": tool_title(call.name), "size": "sm", "weight": "semibold"},
    ]
    if detail := _tool_detail(call.arguments):
        children.append({"type": "Caption", "value": detail, "truncate": True})
    children.append({"type": "Spacer"})
    children.append({"type": "Badge", "label": label, "color": color, "variant": "soft", "pill": True})
    return {
        "type": "Card",
        "size": "sm",
        "children": [{"type": "Row", "gap": 2, "align": "center", "children": children}],
    }


def tool_item(item_id: str, thread_id: str, call: ToolCall) -> JsonObject:
    """Return the `WidgetItem` of a tool call."""
    detail = _tool_detail(call.arguments)
    subject = f"{tool_title(call.name)} “{detail}”" if detail else tool_title(call.name)
    return {
        "id": item_id,
        "thread_id": thread_id,
        "created_at": _wire_time(time_of(item_id)),
        "type": "widget",
        "widget": tool_widget(call),
        "copy_text": f"{subject}: {BADGES[call.status][0]}",
    }
