"""Which frames of a run a client gets."""

import json
from typing import Any

import pytest

from chat_service.relay.passage import Passage
from contracts.frames import LOG_START, Cursor, chatkit_frame, run_frame


def frame(attempt: int, seq: int, kind: str = "progress_update", **fields: Any) -> bytes:
    event = json.dumps({"type": kind, **fields}, separators=(",", ":")).encode()
    return chatkit_frame(Cursor(attempt, seq), event)


def ended(attempt: int, seq: int) -> bytes:
    event = json.dumps({"type": "run.completed", "run_id": "run_1", "attempt": attempt}).encode()
    return run_frame(Cursor(attempt, seq), event)


def test_the_very_next_frame_passes_and_one_that_was_seen_does_not() -> None:
    passage, passed = Passage(), list[bytes]()
    passage.move(Cursor(1, 8))
    for seq in (8, 9, 9, 10, 1, 11):
        assert passage.take(frame(1, seq), passed) is None
    assert passed == [frame(1, 9), frame(1, 10), frame(1, 11)]
    assert passage.cursor == Cursor(1, 11)


@pytest.mark.parametrize("cursor", [Cursor(1, 11), Cursor(1, 100), Cursor(1, 91), Cursor(2, 1)])
def test_a_frame_before_which_something_may_lie_is_not_taken(cursor: Cursor) -> None:
    passage, passed = Passage(), list[bytes]()
    passage.move(Cursor(1, 9))
    assert passage.take(frame(*cursor), passed) == cursor
    assert (passed, passage.cursor) == ([], Cursor(1, 9))
    passage.take_logged(cursor, frame(*cursor), passed)
    assert (passed, passage.cursor) == ([frame(*cursor)], cursor)


@pytest.mark.parametrize(
    ("here", "first", "is_continued"),
    [
        (LOG_START, Cursor(1, 1), True),
        (LOG_START, Cursor(1, 2), False),
        (LOG_START, Cursor(2, 1), False),
        (Cursor(1, 5), Cursor(1, 5), True),
        (Cursor(1, 5), Cursor(1, 6), True),
        (Cursor(1, 5), Cursor(1, 7), False),
        (Cursor(1, 5), Cursor(2, 1), False),
    ],
)
def test_where_the_log_must_begin(here: Cursor, first: Cursor, is_continued: bool) -> None:
    passage = Passage()
    if here != LOG_START:
        passage.move(here)
    assert passage.is_continued_by(first) is is_continued


@pytest.mark.parametrize("run_frames", [False, True])
def test_the_end_is_held_back_until_what_was_begun_is_settled(run_frames: bool) -> None:
    passage, passed = Passage(run_frames=run_frames), list[bytes]()
    begun = [frame(1, seq, "thread.item.added", item={"id": f"msg_{seq}"}) for seq in (1, 2)]
    for each in (*begun, ended(1, 3)):
        assert passage.take(each, passed) is None
    assert passed == begun
    assert (passage.is_over, passage.is_unsettled, passage.has_ended) == (True, True, False)
    stored = b'data: {"type":"thread.item.done","item":{"id":"msg_1"}}\n\n'
    withdrawn = b'data: {"type":"thread.item.removed","item_id":"msg_2"}\n\n'
    assert b"".join(passage.settle([{"id": "msg_1"}])) == stored + withdrawn + (ended(1, 3) if run_frames else b"")
    passage.take_logged(Cursor(1, 4), frame(1, 4), passed)
    assert passed == begun, "nothing follows the end"


def test_what_was_seen_does_not_pass_again_but_counts() -> None:
    passage, passed = Passage(Cursor(1, 2), run_frames=True), list[bytes]()
    passage.take_logged(Cursor(1, 1), frame(1, 1, "thread.item.added", item={"id": "msg_1"}), passed)
    passage.take_logged(Cursor(1, 2), frame(1, 2, "thread.item.updated", item_id="msg_1", update={}), passed)
    assert passed == []
    after = frame(1, 3, "thread.item.updated", item_id="msg_1", update={})
    passage.take_logged(Cursor(1, 3), after, passed)
    assert passed == [after]
    passage.take_logged(Cursor(1, 4), ended(1, 4), passed)
    assert passage.is_unsettled


def test_a_client_that_has_seen_the_end_sees_it_again() -> None:
    passage, passed = Passage(Cursor(1, 1), run_frames=True), list[bytes]()
    passage.take_logged(Cursor(1, 1), ended(1, 1), passed)
    assert (passed, passage.has_ended) == ([ended(1, 1)], True)


def test_updates_of_an_item_whose_beginning_was_lost_are_held_back() -> None:
    passage, passed = Passage(), list[bytes]()
    stored: list[dict[str, Any]] = [{"id": "msg_1"}]
    assert passage.fill(stored) == [b'data: {"type":"thread.item.done","item":{"id":"msg_1"}}\n\n']
    hole = frame(1, 1, "thread.item.updated", item_id="msg_2", update={})
    whole = frame(1, 2, "thread.item.done", item={"id": "msg_2"})
    again = frame(1, 3, "thread.item.added", item={"id": "msg_1"})
    for each in (hole, whole, again):
        assert passage.take(each, passed) is None
    assert passed == [whole]


def test_what_a_dead_attempt_began_is_withdrawn_when_a_later_one_follows_a_loss() -> None:
    passage, passed = Passage(), list[bytes]()
    for seq, item_id in enumerate(("msg_1", "msg_2"), 1):
        passage.take(frame(1, seq, "thread.item.added", item={"id": item_id}), passed)
    kept = b'data: {"type":"thread.item.done","item":{"id":"msg_1"}}\n\n'
    assert passage.fill([{"id": "msg_1"}], attempt=1) == [kept], "the same attempt may still finish the other one"
    withdrawn = b'data: {"type":"thread.item.removed","item_id":"msg_2"}\n\n'
    assert passage.fill([{"id": "msg_1"}], attempt=2) == [kept, withdrawn]
    assert passage.withdrawals() == []
