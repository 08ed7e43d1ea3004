"""Rows of the log as OpenAI items: the exact item if it came as one, else what the ChatKit item says."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from contracts.conversations import JsonObject, MessageKind, MessageStatus, ToolCall
from history_service.domain import HIDDEN_KINDS
from history_service.openai_projection.ids import CallPart, call_part_id, message_id


@dataclass(frozen=True)
class LogRow:
    """What of a row its OpenAI items are made of."""

    id: str
    position: int
    kind: MessageKind
    content: str
    tool_calls: list[ToolCall]
    payload: JsonObject
    status: MessageStatus = "completed"
    openai_item: JsonObject | None = None
    """The exact item, if the row was written through the OpenAI-compatible API."""


def openai_items(row: LogRow) -> list[JsonObject]:
    """Return the items of a row in their order: several for a tool call with its result, none if it says nothing."""
    if row.openai_item is not None:
        return [row.openai_item]
    if row.tool_calls:
        return [item for number, call in enumerate(row.tool_calls) for item in _call_items(row, number, call)]
    if row.kind == "user_message":
        return _message(row, "user", list(_user_parts(row.payload)))
    if row.kind == "assistant_message":
        return _message(row, "assistant", [_output(text) for text in _part_texts(row.payload)])
    if row.kind in HIDDEN_KINDS:
        return _message(row, "system", [_input(row.content)] if row.content else [])
    return _message(row, "assistant", [_output(row.content)] if row.content else [])


def number_in_row(row: LogRow, item_id: str) -> int | None:
    """Return which of the row's items has the id, counted from 0; None if none has it."""
    return next((number for number, item in enumerate(openai_items(row)) if item["id"] == item_id), None)


def call_item_id(row: LogRow, part: CallPart, number: int) -> str:
    """Return the id of a tool call of the row, counted from 0, or of its result."""
    call_id = row.tool_calls[number].id
    repetition = sum(call.id == call_id for call in row.tool_calls[:number])
    return call_part_id(part, row.id, call_id, repetition)


def _call_items(row: LogRow, number: int, call: ToolCall) -> Iterator[JsonObject]:
    yield {
        "id": call_item_id(row, "fcc", number),
        "type": "function_call",
        "status": "in_progress" if call.status == "in_progress" else "completed",
        "call_id": call.id,
        "name": call.name,
        "arguments": json.dumps(call.arguments, ensure_ascii=False),
    }
    if call.output is not None or call.status != "in_progress":
        yield {
            "id": call_item_id(row, "fcr", number),
            "type": "function_call_output",
            "status": "incomplete" if call.status == "failed" else "completed",
            "call_id": call.id,
            "output": call.output or "",
        }


def _message(row: LogRow, role: str, parts: list[JsonObject]) -> list[JsonObject]:
    if not parts:
        return []
    return [{"id": message_id(row.id), "type": "message", "status": row.status, "role": role, "content": parts}]


def _user_parts(payload: JsonObject) -> Iterator[JsonObject]:
    quoted = payload.get("quoted_text")
    if isinstance(quoted, str) and quoted:
        yield _input("\n".join(f"> {line}" for line in quoted.splitlines()))
    if text := "".join(_part_texts(payload)):
        yield _input(text)
    for attachment in _objects(payload.get("attachments")):
        identifier, name = attachment.get("id"), attachment.get("name")
        if attachment.get("type") == "image":
            yield {"type": "input_image", "detail": "auto", "file_id": identifier}
        else:
            yield {"type": "input_file", "file_id": identifier, "filename": name}


def _part_texts(payload: JsonObject) -> list[str]:
    texts = (part.get("text") for part in _objects(payload.get("content")))
    return [text for text in texts if isinstance(text, str) and text]


def _objects(value: object) -> Iterable[JsonObject]:
    entries = cast("list[Any]", value) if isinstance(value, list) else []
    return (cast(JsonObject, entry) for entry in entries if isinstance(entry, dict))


def _input(text: str) -> JsonObject:
    return {"type": "input_text", "text": text}


def _output(text: str) -> JsonObject:
    return {"type": "output_text", "text": text, "annotations": []}
