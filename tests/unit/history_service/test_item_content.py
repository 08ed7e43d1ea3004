"""Plain text and tool calls of every kind of item."""

from typing import Any

import pytest

from contracts.conversations import MessageKind, ToolCall
from history_service.item_content import content_of, tool_calls_of

CALL = ToolCall(id="call_1", name="add_task", arguments={"title": "milk"}, output="added", status="completed")
PENDING = ToolCall(id="call_2", name="list_tasks")


TEXTS: list[tuple[MessageKind, dict[str, Any], str]] = [
    (
        "user_message",
        {"content": [{"type": "input_text", "text": "Ask "}, {"type": "input_tag", "text": "@bob", "data": {}}]},
        "Ask @bob",
    ),
    ("assistant_message", {"content": [{"text": "One."}, {"text": " Two."}]}, "One. Two."),
    ("client_tool_call", {"name": "locate", "output": None}, "locate"),
    ("client_tool_call", {"name": "locate", "output": {"lat": 1}}, 'locate: {"lat": 1}'),
    ("widget", {"copy_text": "Copied", "widget": {}}, "Copied"),
    ("generated_image", {"image": {"id": "i", "url": "data:image/png;base64,AAAA"}}, ""),
    (
        "structured_input",
        {"inputs": [{"question": "Colour?", "answer": {"values": ["red", "blue"]}}, {"question": "Size?"}]},
        "Colour? red, blue\nSize?",
    ),
    ("task", {"task": {"title": "Search", "content": "the web"}}, "Search\nthe web"),
    (
        "workflow",
        {"workflow": {"summary": {"title": "Thought"}, "tasks": [{"title": "a"}, {"content": "b"}, {}]}},
        "Thought\na\nb",
    ),
    ("workflow", {"workflow": {"summary": {"duration": 3}, "tasks": []}}, ""),
    ("end_of_turn", {}, ""),
    ("hidden_context_item", {"content": {"a": "ä"}}, '{"a": "ä"}'),
    ("hidden_context_item", {"content": None}, ""),
    ("sdk_hidden_context", {"content": "secret"}, "secret"),
]


@pytest.mark.parametrize(("kind", "payload", "text"), TEXTS)
def test_text_of_each_kind(kind: MessageKind, payload: dict[str, Any], text: str) -> None:
    assert content_of(kind, payload, []) == text


def test_a_widget_without_text_says_what_its_tools_did() -> None:
    assert content_of("widget", {"copy_text": None}, [CALL, PENDING]) == "add_task: added\nlist_tasks"


@pytest.mark.parametrize("content", [None, 5, "text", {"text": "x"}, [5, None, "x", {"text": 5}, {}]])
@pytest.mark.parametrize(
    ("kind", "member"),
    [
        ("user_message", "content"),
        ("structured_input", "inputs"),
        ("task", "task"),
        ("workflow", "workflow"),
        ("widget", "copy_text"),
    ],
)
def test_other_shapes_say_nothing_and_are_no_error(kind: MessageKind, member: str, content: object) -> None:
    text = content_of(kind, {member: content}, [])
    assert text in ("", "text")


def test_a_client_tool_call_is_a_tool_call() -> None:
    payload = {"call_id": "c1", "name": "locate", "arguments": {"a": 1}, "output": [1], "status": "completed"}
    call = ToolCall(id="c1", name="locate", arguments={"a": 1}, output="[1]", status="completed")
    assert tool_calls_of("client_tool_call", payload, []) == [call]
    pending = payload | {"output": None, "status": "pending"}
    assert tool_calls_of("client_tool_call", pending, [])[0].status == "in_progress"


def test_given_tool_calls_stand() -> None:
    assert tool_calls_of("client_tool_call", {"call_id": "c1", "name": "x"}, [CALL]) == [CALL]
    assert tool_calls_of("assistant_message", {"call_id": "c1"}, []) == []
