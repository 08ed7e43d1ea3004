"""OpenAI items as ChatKit shows them."""

from typing import Any, get_args

import pytest
from agents.tool import default_tool_error_function
from hypothesis import given

from agent_worker.events import tool_item
from contracts.conversations import JsonObject, ToolCall, ToolCallStatus
from history_service.openai_projection.drawing import (
    SDK_TOOL_ERROR,
    drawn,
    reopened,
    settled,
    settled_status,
)
from history_service.openai_projection.item_types import ITEM_TYPES
from history_service.openai_projection.tool_cards import arguments_of, tool_card, tool_text
from tests.support.openai_items import EXAMPLES, messages
from tests.support.openai_rows import CALL, NOW, THREAD, UNHURRIED, stored
from tests.support.thread_items import thread_item


@pytest.mark.parametrize("kind", ITEM_TYPES)
def test_every_item_is_a_chatkit_item(kind: str) -> None:
    shown = drawn(stored(EXAMPLES[kind]), THREAD, NOW)
    assert thread_item(shown.payload).id == "msg_1"
    assert shown.created_at == NOW
    assert shown.hidden == (kind not in {"message", "function_call"})


@UNHURRIED
@given(messages())
def test_every_message_is_a_chatkit_item(message: JsonObject) -> None:
    shown = drawn(stored(message), THREAD, NOW)
    thread_item(shown.payload)
    kinds = {"user": "user_message", "assistant": "assistant_message"}
    assert shown.kind == kinds.get(message["role"], "sdk_hidden_context")


def test_what_a_message_says_is_shown() -> None:
    content: list[JsonObject] = [
        {"type": "input_text", "text": "Look:"},
        {"type": "input_file", "file_id": "file_1", "filename": "list.pdf"},
        {"type": "input_file", "file_id": "file_1"},
        {"type": "input_image", "file_id": "file_2"},
        {"type": "input_audio"},
        {"type": "refusal", "refusal": "No."},
    ]
    said = ["Look:", "[File: list.pdf]", "[File]", "[Image]", "[Audio]", "No."]
    for role, kind in (("user", "input_text"), ("assistant", "output_text")):
        payload = drawn(stored({"role": role, "content": content}), THREAD, NOW).payload
        assert [(part["type"], part["text"]) for part in payload["content"]] == [(kind, text) for text in said]
    hidden = drawn(stored({"role": "system", "content": content}), THREAD, NOW)
    assert (hidden.content, hidden.role) == ("\n".join(said), "user")


def test_a_tool_call_is_drawn_as_the_worker_draws_it() -> None:
    identifier = "tc_01a1fc46c57871eca1cc71794db74d3a"
    sent: JsonObject = EXAMPLES["function_call"] | {"name": "add_task"}
    shown = drawn(stored(sent, identifier), THREAD, NOW)
    running = CALL.model_copy(update={"output": None, "status": "in_progress"})
    assert shown.payload | {"created_at": ""} == tool_item(identifier, THREAD, running) | {"created_at": ""}
    assert shown.tool_calls == [running]


@pytest.mark.parametrize("status", get_args(ToolCallStatus))
@pytest.mark.parametrize("arguments", [{}, {"title": "milk"}, {"number": 1, "text": "x" * 81}, {"empty": ""}])
def test_cards_are_those_of_the_worker(status: ToolCallStatus, arguments: JsonObject) -> None:
    call = ToolCall(id="call_1", name="delete_all_tasks", arguments=arguments, status=status)
    theirs = tool_item("tc_01a1fc46c57871eca1cc71794db74d3a", THREAD, call)
    assert (tool_card(call), tool_text(call)) == (theirs["widget"], theirs["copy_text"])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "5", '{"a": "\\u0000"}', '{"a": "\\ud800"}', '{"a": NaN}', "[" * 99_999, "9" * 5000]
)
def test_arguments_that_are_no_object_are_shown_as_none(text: str) -> None:
    assert arguments_of(text) == {}
    call = stored(EXAMPLES["function_call"] | {"arguments": text})
    assert drawn(call, THREAD, NOW).tool_calls[0].arguments == {}


@pytest.mark.parametrize(
    ("output", "status", "text"),
    [
        ({"output": "added"}, "completed", "added"),
        ({"output": "cut", "status": "incomplete"}, "failed", "cut"),
        ({"output": SDK_TOOL_ERROR}, "failed", SDK_TOOL_ERROR),
        ({"output": [{"type": "input_text", "text": "a"}, {"type": "input_image"}]}, "completed", "a\n[Image]"),
    ],
)
def test_a_result_settles_its_call_and_leaves_it_when_it_goes(output: Any, status: str, text: str) -> None:
    running = drawn(stored(EXAMPLES["function_call"]), THREAD, NOW)
    result = stored(EXAMPLES["function_call_output"] | output, "fco_1")
    done = settled(running.payload, running.tool_calls[0], result)
    assert (done.tool_calls[0].status, done.tool_calls[0].output) == (status, text)
    assert settled_status(result) == status
    assert done.payload == running.payload | {
        "widget": tool_card(done.tool_calls[0]),
        "copy_text": tool_text(done.tool_calls[0]),
    }
    assert reopened(done.payload, done.tool_calls[0]) == running


def test_the_words_of_a_failure_are_those_of_the_sdk() -> None:
    context: Any = None
    assert default_tool_error_function(context, ValueError()) == SDK_TOOL_ERROR
