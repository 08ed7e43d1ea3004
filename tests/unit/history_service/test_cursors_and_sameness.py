"""Cursors of items, and what makes two items the same."""

from typing import Any

import pytest

from contracts.conversations import ItemPut, ToolCall
from history_service.domain import ItemCursor, is_same_item, item_cursor, item_of
from history_service.errors import InvalidCursorError
from tests.support.history import user_message

CONVERSATION = "thr_1"


def test_a_cursor_comes_back_as_it_was_given_out() -> None:
    cursor = ItemCursor("msg_1", 7)
    assert item_cursor(cursor.text(CONVERSATION), CONVERSATION) == cursor
    assert item_cursor("msg_1", CONVERSATION) == ItemCursor("msg_1")


@pytest.mark.parametrize(
    "text", ["", "a b", "@", "msg_1@", "msg_1@7", "msg_1@7.", "msg_1@-7.0", "msg_1@7.00000000", "msg_1@" + "9" * 30]
)
def test_what_was_never_given_out_is_no_cursor(text: str) -> None:
    with pytest.raises(InvalidCursorError):
        item_cursor(text, CONVERSATION)


def test_a_cursor_of_another_conversation_is_refused() -> None:
    with pytest.raises(InvalidCursorError):
        item_cursor(ItemCursor("msg_1", 7).text("thr_2"), CONVERSATION)


@pytest.mark.parametrize(
    ("given", "stored", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": 0.0}, {"a": -0.0}, False),
        ({"a": "x"}, {"a": "y"}, False),
    ],
)
def test_items_are_the_same_if_their_json_is(given: dict[str, Any], stored: dict[str, Any], same: bool) -> None:
    payload = user_message(CONVERSATION)
    item = item_of(ItemPut(payload=payload | given), CONVERSATION)
    assert is_same_item(item, payload | stored, [], "completed") is same


@pytest.mark.parametrize(
    ("given", "stored", "same"),
    [(4.947854320945214e16, 49478543209452140, True), (-0.0, 0, True), (1e300, 10**300, True), (1, 2, False)],
)
def test_tool_calls_are_compared_as_jsonb_keeps_them(given: float, stored: int, same: bool) -> None:
    call = ToolCall(id="call_1", name="add", arguments={"n": given})
    payload = user_message(CONVERSATION)
    item = item_of(ItemPut(payload=payload, tool_calls=[call]), CONVERSATION)
    kept = [call.model_dump() | {"arguments": {"n": stored}}]
    assert is_same_item(item, payload, kept, "completed") is same


def test_a_cut_off_text_is_another_item_than_the_whole_one() -> None:
    payload = user_message(CONVERSATION)
    item = item_of(ItemPut(payload=payload, status="incomplete"), CONVERSATION)
    assert is_same_item(item, payload, [], "incomplete")
    assert not is_same_item(item, payload, [], "completed")
