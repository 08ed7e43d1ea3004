"""What an item says in plain text, by its kind: for the REST projection, the model and the search.

Payloads are ChatKit thread items (`chatkit.types.ThreadItem`) as they came; what is missing or of another shape in
them says nothing, and is no error.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, cast

from contracts.conversations import JsonObject, MessageKind, ToolCall


def content_of(kind: MessageKind, payload: JsonObject, tool_calls: Iterable[ToolCall]) -> str:
    """Return the plain text of an item; empty if it says nothing in words."""
    if kind == "widget":
        return _text(payload.get("copy_text")) or _lines(_tool_call_text(call) for call in tool_calls)
    return _CONTENT[kind](payload)


def tool_calls_of(kind: MessageKind, payload: JsonObject, given: list[ToolCall]) -> list[ToolCall]:
    """Return the tool calls an item stands for: the given ones, or the one that a client tool call is."""
    if given or kind != "client_tool_call":
        return given
    output = payload.get("output")
    return [
        ToolCall(
            id=_text(payload.get("call_id")),
            name=_text(payload.get("name")),
            arguments=_object(payload.get("arguments")),
            output=None if output is None else _as_text(output),
            status="completed" if payload.get("status") == "completed" else "in_progress",
        )
    ]


def _user_message(payload: JsonObject) -> str:
    return "".join(_text(part.get("text")) for part in _objects(payload.get("content")))


_assistant_message = _user_message


def _client_tool_call(payload: JsonObject) -> str:
    output = payload.get("output")
    return _text(payload.get("name")) if output is None else f"{_text(payload.get('name'))}: {_as_text(output)}"


def _generated_image(payload: JsonObject) -> str:
    return ""  # its URL may be the image itself, megabytes of it


def _structured_input(payload: JsonObject) -> str:
    return _lines(_question(entry) for entry in _objects(payload.get("inputs")))


def _question(entry: JsonObject) -> str:
    values: Any = _object(entry.get("answer")).get("values")
    answers = ", ".join(_text(value) for value in _list(values))
    question = _text(entry.get("question"))
    return f"{question} {answers}" if answers else question


def _task(payload: JsonObject) -> str:
    return _task_text(_object(payload.get("task")))


def _workflow(payload: JsonObject) -> str:
    workflow = _object(payload.get("workflow"))
    summary = _text(_object(workflow.get("summary")).get("title"))
    return _lines([summary, *(_task_text(task) for task in _objects(workflow.get("tasks")))])


def _task_text(task: JsonObject) -> str:
    return _lines([_text(task.get("title")), _text(task.get("content"))])


def _end_of_turn(payload: JsonObject) -> str:
    return ""


def _hidden_context(payload: JsonObject) -> str:
    content = payload.get("content")
    return "" if content is None else _as_text(content)


_CONTENT: dict[MessageKind, Callable[[JsonObject], str]] = {
    "user_message": _user_message,
    "assistant_message": _assistant_message,
    "client_tool_call": _client_tool_call,
    "generated_image": _generated_image,
    "structured_input": _structured_input,
    "task": _task,
    "workflow": _workflow,
    "end_of_turn": _end_of_turn,
    "hidden_context_item": _hidden_context,
    "sdk_hidden_context": _hidden_context,
}


def _tool_call_text(call: ToolCall) -> str:
    return call.name if call.output is None else f"{call.name}: {call.output}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _object(value: object) -> JsonObject:
    return cast(JsonObject, value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast(list[object], value) if isinstance(value, list) else []


def _objects(value: object) -> list[JsonObject]:
    return [_object(entry) for entry in _list(value)]


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(text for text in texts if text)
