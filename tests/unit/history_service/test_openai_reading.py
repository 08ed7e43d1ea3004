"""Rows of the log as OpenAI items, the ids of these, and what is left of a row without one."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.conversations import ConversationItem
from pydantic import TypeAdapter

from agent_worker.events import tool_item
from contracts.conversations import ItemPut, JsonObject, MessageKind
from history_service.openai_projection.accepting import accepted
from history_service.openai_projection.drawing import (
    reopened,
    same_content,
    without,
)
from history_service.openai_projection.ids import (
    ITEM_ID_PATTERN,
    call_part_id,
    message_id,
    new_item_id,
    row_behind,
    rows_named_by,
)
from history_service.openai_projection.item_types import ITEM_TYPES
from history_service.openai_projection.reading import LogRow, number_in_row, openai_items
from tests.support.history import assistant_message, item, tool_widget, user_message
from tests.support.openai_items import EXAMPLES
from tests.support.openai_rows import CALL, KINDS, NOW, THREAD, UNHURRIED, row, stored, texts_of
from tests.support.thread_items import item_payloads, texts

_of_client: TypeAdapter[Any] = TypeAdapter(ConversationItem)


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
        "id": call_part_id("fcc", "tc_1", "call_1"),
        "type": "function_call",
        "status": "completed",
        "call_id": "call_1",
        "name": "add_task",
        "arguments": '{"title": "milk"}',
    }
    assert result == {
        "id": call_part_id("fcr", "tc_1", "call_1"),
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
    calls = [CALL.model_copy(update={"id": identifier}) for identifier in ("call_1", "call_2", "call_1")]
    several = row(ItemPut(payload=tool_widget(THREAD, CALL, "tc_1").payload, tool_calls=calls))
    ids = [entry["id"] for entry in openai_items(several)]
    assert len(set(ids)) == 6
    assert [number_in_row(several, identifier) for identifier in ids] == list(range(6))
    assert {identifier[:4] for identifier in ids[::2]} == {"fcc_"}
    assert {identifier[:4] for identifier in ids[1::2]} == {"fcr_"}
    assert number_in_row(several, "tc_1") is None
    left = without(several, 0)
    assert left is not None
    fewer = row(ItemPut(payload=left.payload, tool_calls=left.tool_calls[:1]))
    assert [entry["id"] for entry in openai_items(fewer)] == ids[2:4], "an id does not depend on the other calls"


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


@UNHURRIED
@given(st.from_regex(r"[A-Za-z0-9_.:\-]{1,128}", fullmatch=True), texts)
def test_a_derived_id_leads_to_its_row(row_id: str, call_id: str) -> None:
    ids = [message_id(row_id), call_part_id("fcc", row_id, call_id), call_part_id("fcr", row_id, call_id)]
    assert [rows_named_by(identifier)[-1] for identifier in ids] == [row_id] * 3
    assert len(set(ids)) == 3
    assert all(re.fullmatch(ITEM_ID_PATTERN, identifier) for identifier in ids)


@pytest.mark.parametrize("kind", ITEM_TYPES)
def test_ids_that_are_given_are_not_derived_ones(kind: str) -> None:
    assert row_behind(new_item_id(kind)) is None
    assert new_item_id(kind) != new_item_id(kind)


@pytest.mark.parametrize("identifier", ["fcc_tc_1", "fcc_0123456g_x", "fcc_01234567_", "msgc_", "msgc1_x", "xmsgc_x"])
def test_other_ids_are_not_derived(identifier: str) -> None:
    assert row_behind(identifier) is None


def test_the_same_content_is_the_same_json() -> None:
    assert same_content({"a": 1, "b": [1.5]}, {"b": [1.5], "a": 1})
    for other in ({"a": 1.0, "b": [1.5]}, {"a": True, "b": [1.5]}, {"a": 1, "b": [1.5], "c": None}):
        assert not same_content({"a": 1, "b": [1.5]}, other)
