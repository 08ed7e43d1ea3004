"""OpenAI items as rows of the log: the ChatKit thread item that shows each of them."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from contracts.conversations import ItemPut, JsonObject, MessageStatus, ToolCall, ToolCallStatus
from history_service.domain import Item, item_of
from history_service.openai_projection.accepting import part_text
from history_service.openai_projection.reading import LogRow, call_item_id, openai_items
from history_service.openai_projection.tool_cards import arguments_of, tool_card, tool_text

SDK_TOOL_ERROR = "An error occurred while running the tool. Please try again."
"""What `agents.tool.default_tool_error_function` has a model read when a tool raises."""

GIVEN_UP_OUTPUT = "The run ended before the tool answered; whether it had an effect is not known."
"""What the model reads of a tool call whose run has ended without its worker."""


def drawn(item: JsonObject, conversation_id: str, now: datetime) -> Item:
    """Return the row of an accepted item that has its id.

    Only messages of user and assistant and tool calls are shown; all else is hidden, and keeps its place in the log.
    """
    base: JsonObject = {
        "id": item["id"],
        "thread_id": conversation_id,
        "created_at": now.isoformat().replace("+00:00", "Z"),
    }
    if item["type"] == "function_call":
        call = ToolCall(id=item["call_id"], name=item["name"], arguments=arguments_of(item["arguments"]))
        return _tool_row(base, call)
    if item["type"] == "message" and item["role"] in _SHOWN:
        members = _SHOWN[item["role"]](_texts(item["content"]))
    else:
        members = {"type": "sdk_hidden_context", "content": _hidden_text(item)}
    return item_of(ItemPut(payload=base | members, status=_message_status(item)), conversation_id)


def _message_status(item: JsonObject) -> MessageStatus:
    is_whole = item["type"] != "message" or item["status"] == "completed"
    return "completed" if is_whole else "incomplete"


def _user_message(texts: list[str]) -> JsonObject:
    return {
        "type": "user_message",
        "content": [{"type": "input_text", "text": text} for text in texts],
        "attachments": [],
        "quoted_text": None,
        "inference_options": {},
    }


def _assistant_message(texts: list[str]) -> JsonObject:
    return {"type": "assistant_message", "content": [_output_text(text) for text in texts]}


def _output_text(text: str) -> JsonObject:
    return {"type": "output_text", "text": text, "annotations": []}


_SHOWN: Mapping[str, Callable[[list[str]], JsonObject]] = {"user": _user_message, "assistant": _assistant_message}


def settled(payload: JsonObject, call: ToolCall, output: JsonObject) -> Item:
    """Return a tool call's row with its result, a `function_call_output`."""
    changes = {"output": output_text(output), "status": settled_status(output)}
    return _tool_row(payload, call.model_copy(update=changes))


def reopened(payload: JsonObject, call: ToolCall) -> Item:
    """Return a tool call's row as it was before its result."""
    return _tool_row(payload, _not_run(call))


def settled_status(output: JsonObject) -> ToolCallStatus:
    """Return the status that a `function_call_output` gives to its call.

    OpenAI's items know no failure but `incomplete`; the Agents SDK tells of one in words.
    """
    failed = output["status"] == "incomplete" or output_text(output) == SDK_TOOL_ERROR
    return "failed" if failed else "completed"


def without(row: LogRow, number: int) -> Item | None:
    """Return a row after one of its items was deleted, counted from 0; None if the row goes with it.

    A row that is no tool call is one item. Of a tool call, the call takes its result along; without its result, it is
    as it was before it ran.
    """
    deleted = openai_items(row)[number]["id"]
    if row.openai_item is not None or row.kind != "widget" or not row.tool_calls:
        return None
    left = [
        _not_run(call) if deleted == call_item_id(row, "fcr", place) else call
        for place, call in enumerate(row.tool_calls)
        if deleted != call_item_id(row, "fcc", place)
    ]
    return _with_calls(row, left) if left else None


def ended(row: LogRow) -> Item:
    """Return a row after its run has ended without its worker: no tool call of it is in progress any more."""
    return _with_calls(row, [_given_up(call) if call.status == "in_progress" else call for call in row.tool_calls])


def _with_calls(row: LogRow, calls: list[ToolCall]) -> Item:
    """Return a row with other tool calls. A card that shows its call is drawn anew, any other widget stays."""
    if len(row.tool_calls) == 1 and row.payload.get("widget") == tool_card(row.tool_calls[0]):
        return _tool_row(row.payload, calls[0])
    return item_of(ItemPut(payload=row.payload, tool_calls=calls), row.payload["thread_id"])


def _given_up(call: ToolCall) -> ToolCall:
    return call.model_copy(update={"output": GIVEN_UP_OUTPUT, "status": "failed"})


def _not_run(call: ToolCall) -> ToolCall:
    return call.model_copy(update={"output": None, "status": "in_progress"})


def _tool_row(base: JsonObject, call: ToolCall) -> Item:
    payload: JsonObject = {**base, "type": "widget", "widget": tool_card(call), "copy_text": tool_text(call)}
    return item_of(ItemPut(payload=payload, tool_calls=[call]), payload["thread_id"])


def output_text(output: JsonObject) -> str:
    """Return what a `function_call_output` says."""
    content = output["output"]
    return content if isinstance(content, str) else "\n".join(_texts(content))


def _hidden_text(item: JsonObject) -> str:
    if item["type"] == "message":
        return "\n".join(_texts(item["content"]))
    if item["type"] == "function_call_output":
        return output_text(item)
    return item["type"]


def _texts(parts: Sequence[JsonObject]) -> list[str]:
    return [part_text(part) for part in parts]


def same_content(one: JsonObject, other: JsonObject) -> bool:
    """Tell whether two items are the same JSON, whatever the order of their keys (1, 1.0 and true differ)."""
    return _canonical(one) == _canonical(other)


def _canonical(item: JsonObject) -> str:
    return json.dumps(cast(Any, item), sort_keys=True)
