"""Rows of the log and OpenAI items, each made from the other."""

import json
import re
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from agents.tool import default_tool_error_function
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.conversations import ConversationItem
from pydantic import TypeAdapter

from agent_worker.events import tool_item
from contracts.conversations import ItemPut, JsonObject, MessageKind, ToolCall, ToolCallStatus
from history_service.domain import item_of
from history_service.openai_projection.accepting import accepted
from history_service.openai_projection.drawing import (
    SDK_TOOL_ERROR,
    drawn,
    reopened,
    same_content,
    settled,
    settled_status,
    without,
)
from history_service.openai_projection.ids import (
    derived_id,
    message_id,
    new_item_id,
    row_behind,
    rows_named_by,
)
from history_service.openai_projection.item_types import ITEM_TYPES
from history_service.openai_projection.reading import LogRow, number_in_row, openai_items
from history_service.openai_projection.tool_cards import arguments_of, tool_card, tool_text
from tests.support.history import assistant_message, item, tool_widget, user_message
from tests.support.openai_items import EXAMPLES, messages
from tests.support.thread_items import item_payloads, thread_item

THREAD = "thr_1"
NOW = datetime(2026, 11, 21, 4, 5, 6, 789000, tzinfo=UTC)
KINDS: tuple[MessageKind, ...] = get_args(MessageKind)
CALL = ToolCall(id="call_1", name="add_task", arguments={"title": "milk"}, output="added", status="completed")

UNHURRIED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

_of_client: TypeAdapter[Any] = TypeAdapter(ConversationItem)


def stored(sent: JsonObject, identifier: str = "msg_1") -> JsonObject:
    return accepted(sent, "items[0]") | {"id": identifier}


def row(put: ItemPut | JsonObject, **changes: Any) -> LogRow:
    put = put if isinstance(put, ItemPut) else ItemPut(payload=put)
    of = item_of(put, THREAD)
    return LogRow(**{"id": of.id, "position": 1, "kind": of.kind, "content": of.content} | changes, **_rest(of))


def _rest(of: Any) -> dict[str, Any]:
    return {"tool_calls": of.tool_calls, "payload": of.payload}


def texts_of(items: list[JsonObject]) -> list[Any]:
    return [(entry.get("role"), [part.get("text") for part in entry["content"]]) for entry in items]


# From OpenAI's items to ChatKit's


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


# From ChatKit's items to OpenAI's


def test_an_item_that_came_as_one_is_given_back() -> None:
    exact = stored(EXAMPLES["reasoning"], "rs_1")
    kept = row(item(THREAD, "sdk_hidden_context", "rs_1", content="reasoning"), openai_item=exact)
    assert openai_items(kept) == [exact]


def test_messages_are_messages() -> None:
    asked = openai_items(row(user_message(THREAD, "Hello", "msg_1")))
    assert asked == [
        {
            "id": "msg_1",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_text", "text": "Hello"}],
        }
    ]
    answered = openai_items(row(assistant_message(THREAD, "Hi", "msg_2")))
    assert answered[0]["content"] == [{"type": "output_text", "text": "Hi", "annotations": []}]
    assert answered[0]["role"] == "assistant"


def test_a_user_message_has_its_quote_and_attachments() -> None:
    payload = user_message(THREAD, "What is this?", "msg_1") | {
        "quoted_text": "one\ntwo",
        "attachments": [
            {"type": "file", "id": "atc_1", "name": "list.pdf", "mime_type": "application/pdf"},
            {"type": "image", "id": "atc_2", "name": "cat.png", "mime_type": "image/png", "preview_url": "https://a"},
        ],
    }
    assert openai_items(row(payload))[0]["content"] == [
        {"type": "input_text", "text": "> one\n> two"},
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_file", "file_id": "atc_1", "filename": "list.pdf"},
        {"type": "input_image", "detail": "auto", "file_id": "atc_2"},
    ]


def test_hidden_context_is_a_system_message_and_other_words_are_the_assistants() -> None:
    hidden = row(item(THREAD, "hidden_context_item", "shcx_1", content={"a": 1}))
    task = row(item(THREAD, "task", "tsk_1", task={"type": "custom", "title": "Look", "content": "around"}))
    assert texts_of(openai_items(hidden)) == [("system", ['{"a": 1}'])]
    assert texts_of(openai_items(task)) == [("assistant", ["Look\naround"])]


@pytest.mark.parametrize(
    "payload",
    [
        item(THREAD, "end_of_turn"),
        item(THREAD, "generated_image", image=None),
        item(THREAD, "hidden_context_item", content=None),
        assistant_message(THREAD, ""),
        user_message(THREAD, ""),
        item(THREAD, "widget", widget={"type": "Card", "children": []}, copy_text=None),
    ],
)
def test_what_says_nothing_is_left_out(payload: JsonObject) -> None:
    assert openai_items(row(payload)) == []


def test_a_tool_call_is_a_call_and_its_result() -> None:
    call, result = openai_items(row(tool_widget(THREAD, CALL, "tc_1")))
    assert call == {
        "id": "fcc_tc_1",
        "type": "function_call",
        "status": "completed",
        "call_id": "call_1",
        "name": "add_task",
        "arguments": '{"title": "milk"}',
    }
    assert result == {
        "id": "fcr_tc_1",
        "type": "function_call_output",
        "status": "completed",
        "call_id": "call_1",
        "output": "added",
    }


@pytest.mark.parametrize(
    ("status", "output", "statuses"),
    [
        ("in_progress", None, ["in_progress"]),
        ("completed", None, ["completed", "completed"]),
        ("failed", None, ["completed", "incomplete"]),
        ("failed", "no", ["completed", "incomplete"]),
    ],
)
def test_a_call_that_ended_always_has_a_result(status: str, output: str | None, statuses: list[str]) -> None:
    call = CALL.model_copy(update={"status": status, "output": output})
    items = openai_items(row(tool_widget(THREAD, call, "tc_1")))
    assert [entry["status"] for entry in items] == statuses
    assert [entry.get("output") for entry in items[1:]] == [output or ""] * (len(items) - 1)


def test_several_calls_of_a_row_stay_in_order_and_can_be_told_apart() -> None:
    calls = [CALL.model_copy(update={"id": f"call_{number}"}) for number in range(3)]
    several = row(ItemPut(payload=tool_widget(THREAD, CALL, "tc_1").payload, tool_calls=calls))
    items = openai_items(several)
    assert [entry["id"] for entry in items] == [
        "fcc_tc_1", "fcr_tc_1", "fcc1_tc_1", "fcr1_tc_1", "fcc2_tc_1", "fcr2_tc_1",
    ]  # fmt: skip
    assert [number_in_row(several, entry["id"]) for entry in items] == list(range(6))
    assert number_in_row(several, "tc_1") is None


@pytest.mark.parametrize("kind", KINDS)
@UNHURRIED
@given(data=st.data())
def test_any_row_is_read_as_items_that_the_client_and_this_api_take(kind: MessageKind, data: st.DataObject) -> None:
    payload = data.draw(item_payloads(kind, THREAD, "tc_1"))
    calls = [CALL] if kind == "widget" and data.draw(st.booleans()) else []
    for read in openai_items(row(ItemPut(payload=payload | {"created_at": NOW.isoformat()}, tool_calls=calls))):
        _of_client.validate_python(read)
        assert re.fullmatch(r"(msg|fc)[A-Za-z0-9_-]{1,61}", read["id"]), "what OpenAI takes for an id"
        assert same_content(accepted(read, "items[0]"), read), "sending it again changes nothing"


@pytest.mark.parametrize("kind", ITEM_TYPES)
def test_stored_items_are_what_the_client_expects(kind: str) -> None:
    _of_client.validate_python(stored(EXAMPLES[kind], new_item_id(kind)))


# Deleting


def test_a_call_takes_its_result_along_and_a_row_its_last_call() -> None:
    one = row(tool_widget(THREAD, CALL, "tc_1"))
    assert without(one, 0) is None
    calls = [CALL, CALL.model_copy(update={"id": "call_2"})]
    two = row(ItemPut(payload=tool_widget(THREAD, CALL, "tc_1").payload, tool_calls=calls))
    left = without(two, 0)
    assert left is not None
    assert (left.tool_calls, left.payload) == (calls[1:], two.payload)
    left = without(two, 3)
    assert left is not None
    assert [call.status for call in left.tool_calls] == ["completed", "in_progress"]
    assert [call.output for call in left.tool_calls] == ["added", None]


def test_a_call_without_its_result_is_running_again() -> None:
    payload = tool_item("tc_01a1fc46c57871eca1cc71794db74d3a", THREAD, CALL)
    left = without(row(ItemPut(payload=payload, tool_calls=[CALL])), 1)
    assert left is not None
    assert left == reopened(payload, CALL)
    assert "Running" in json.dumps(left.payload)


@pytest.mark.parametrize(
    "whole",
    [
        row(user_message(THREAD, "Hello", "msg_1")),
        row(item(THREAD, "client_tool_call", call_id="c", name="n", arguments={}, output=1, status="completed")),
        row(tool_widget(THREAD, CALL, "fc_1"), openai_item=stored(EXAMPLES["function_call"], "fc_1")),
    ],
)
def test_any_other_row_goes_with_its_item(whole: LogRow) -> None:
    assert all(without(whole, number) is None for number in range(len(openai_items(whole))))


# Ids


@UNHURRIED
@given(st.from_regex(r"[A-Za-z0-9_.:\-]{1,128}", fullmatch=True), st.integers(0, 99_999))
def test_a_derived_id_leads_to_its_row(row_id: str, number: int) -> None:
    ids = [derived_id("msgc", row_id), derived_id("fcc", row_id, number), derived_id("fcr", row_id, number)]
    assert [row_behind(identifier) for identifier in ids] == [row_id] * 3
    assert len(set(ids)) == 3
    assert row_id in rows_named_by(ids[0])
    assert row_id in rows_named_by(message_id(row_id))


@pytest.mark.parametrize("kind", ITEM_TYPES)
def test_ids_that_are_given_are_not_derived_ones(kind: str) -> None:
    assert row_behind(new_item_id(kind)) is None
    assert new_item_id(kind) != new_item_id(kind)


@pytest.mark.parametrize("identifier", ["fcc0_tc_1", "fcc01_tc_1", "msgc1_x", "fcc_", "fcd_x", "xfcc_x"])
def test_other_ids_are_not_derived(identifier: str) -> None:
    assert row_behind(identifier) is None


def test_the_same_content_is_the_same_json() -> None:
    assert same_content({"a": 1, "b": [1.5]}, {"b": [1.5], "a": 1})
    for other in ({"a": 1.0, "b": [1.5]}, {"a": True, "b": [1.5]}, {"a": 1, "b": [1.5], "c": None}):
        assert not same_content({"a": 1, "b": [1.5]}, other)
