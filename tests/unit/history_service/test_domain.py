"""Rules of items, cursors, contexts and run tokens."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.conversations import ItemPut, MessageKind
from contracts.runs import ContextMessage
from history_service.domain import (
    ContextRow,
    ConversationCursor,
    RunTurn,
    as_utc,
    context_window,
    conversation_cursor,
    is_valid_id,
    item_of,
    role_of,
    run_token_seconds,
    unstorable,
)
from history_service.errors import InvalidCursorError, InvalidItemError
from service_kit.problems import InvalidRequestError
from tests.support.history import user_message

CONVERSATION = "thr_1"


def put(**changes: Any) -> ItemPut:
    return ItemPut(payload=user_message(CONVERSATION, "Hi", "msg_1") | changes)


def test_an_item_is_read_from_its_payload() -> None:
    sent = put(created_at="2026-11-01T12:00:00+02:00")
    item = item_of(sent, CONVERSATION, "msg_1")
    assert (item.id, item.kind, item.role, item.content, item.hidden) == ("msg_1", "user_message", "user", "Hi", False)
    assert item.created_at == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert item.payload is sent.payload


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "msg_2"},
        {"id": None},
        {"id": "a b"},
        {"type": "poem"},
        {"type": None},
        {"type": {}},
        {"thread_id": "thr_2"},
        {"created_at": "now"},
        {"created_at": 5},
    ],
)
def test_an_item_of_another_shape_is_invalid(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidItemError):
        item_of(put(**changes), CONVERSATION, "msg_1")


def test_every_kind_has_a_role_and_two_are_hidden() -> None:
    kinds: tuple[MessageKind, ...] = get_args(MessageKind)
    users = {kind for kind in kinds if role_of(kind) == "user"}
    assert users == {"user_message", "hidden_context_item", "sdk_hidden_context"}
    hidden = {kind for kind in kinds if item_of(put(type=kind), CONVERSATION).hidden}
    assert hidden == {"hidden_context_item", "sdk_hidden_context"}


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00"])
def test_times_beyond_the_calendar_are_invalid(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        item_of(put(created_at=text), CONVERSATION)


def test_times_without_a_zone_are_utc() -> None:
    assert as_utc(datetime(2026, 11, 1, 12)) == datetime(2026, 11, 1, 12, tzinfo=UTC)  # noqa: DTZ001 - the case
    assert as_utc(datetime(2026, 11, 1, 12, tzinfo=timezone(timedelta(hours=2)))).hour == 10


@pytest.mark.parametrize("text", ["thr_1", "conv_a.b:c-d", "x" * 128])
def test_valid_ids(text: str) -> None:
    assert is_valid_id(text)


@pytest.mark.parametrize("text", ["", "x" * 129, "a b", "a/b", "ä", "a\n", "a\x00", "a@1"])
def test_malformed_ids(text: str) -> None:
    assert not is_valid_id(text)


@pytest.mark.parametrize(
    "value",
    ["a\x00", "\ud800", "x\udfff", float("nan"), float("-inf"), {"\x00": 1}, [{"a": ["\ud83d"]}]],
)
def test_what_postgres_cannot_keep(value: object) -> None:
    assert unstorable(value) is not None


def test_nesting_is_bounded() -> None:
    value: object = 1
    for _ in range(63):
        value = [value]
    assert unstorable(value) is None
    assert unstorable([value]) is not None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_other_json_can_be_kept(value: object) -> None:
    assert unstorable(value) is None


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_cursor_survives_the_wire_to_the_microsecond(time: datetime) -> None:
    cursor = ConversationCursor("thr_1", time)
    assert conversation_cursor(str(cursor)) == cursor


def test_a_cursor_may_be_a_plain_id() -> None:
    assert conversation_cursor("thr_1") == ConversationCursor("thr_1", None)


@pytest.mark.parametrize("text", ["", "@1", "a b", "thr_1@", "thr_1@-1", "thr_1@x", "thr_1@1@1", "thr_1@" + "9" * 18])
def test_malformed_cursors(text: str) -> None:
    with pytest.raises(InvalidCursorError):
        conversation_cursor(text)


def row(identifier: str, position: int, turn: int | None = None, run_id: str | None = None) -> ContextRow:
    message = ContextMessage(id=identifier, role="user", kind="user_message", content=identifier, run_id=run_id)
    return ContextRow(message, turn=turn or position, position=position)


def window(rows: list[ContextRow], run: RunTurn, limit: int) -> list[str]:
    return [message.id for message in context_window(rows, run, limit)]


def test_the_window_ends_with_the_question_and_then_the_own_items() -> None:
    rows = [
        row("q1", 1),
        row("a1", 2, 1, "run_1"),
        row("q2", 3),
        row("own 1", 4, 3, "run_2"),
        row("own 2", 5, 3, "run_2"),
    ]
    assert window(rows, RunTurn("run_2", 3), 2) == ["a1", "q2", "own 1", "own 2"]
    assert window(rows, RunTurn("run_2", 3), 15) == ["q1", "a1", "q2", "own 1", "own 2"]


def test_answers_follow_their_question_whatever_their_position() -> None:
    rows = [row("q1", 1), row("q2", 2), row("a1", 3, 1, "run_1"), row("q3", 4), row("a2", 5, 2, "run_2")]
    assert window(rows, RunTurn("run_2", 2), 15) == ["q1", "a1", "q2", "a2"]
    assert window(rows, RunTurn("run_3", 4), 15) == ["q1", "a1", "q2", "a2", "q3"]


def test_a_run_without_a_question_continues_the_last_turn() -> None:
    rows = [row("q1", 1), row("a1", 2, 1, "run_1"), row("own", 3, 2, "run_2")]
    assert window(rows, RunTurn("run_2", 2), 15) == ["q1", "a1", "own"]


def test_a_run_token_lives_as_long_as_the_lease_within_bounds() -> None:
    assert run_token_seconds(timedelta(seconds=15)) == 15
    assert run_token_seconds(timedelta(seconds=0.2)) == 1
    assert run_token_seconds(timedelta(minutes=5)) == 60
