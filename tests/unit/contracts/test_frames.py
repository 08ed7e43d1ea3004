import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.frames import (
    Cursor,
    chatkit_frame,
    frame_cursor,
    frame_data,
    is_run_frame,
    parse_cursor,
    run_frame,
)

cursors = st.builds(Cursor, st.integers(1, 2**40), st.integers(1, 2**40))
json_lines = st.binary(max_size=200).filter(lambda data: b"\n" not in data)


@given(cursors, json_lines)
def test_a_frame_gives_back_what_went_in(cursor: Cursor, data: bytes) -> None:
    for make, is_run in ((chatkit_frame, False), (run_frame, True)):
        frame = make(cursor, data)
        assert frame_cursor(frame) == cursor
        assert frame_data(frame) == data
        assert is_run_frame(frame) is is_run
        assert frame.endswith(b"\n\n")


@given(cursors)
def test_a_cursor_is_read_as_it_is_written(cursor: Cursor) -> None:
    assert parse_cursor(str(cursor)) == cursor


def test_only_the_next_entry_of_the_same_attempt_follows() -> None:
    assert Cursor(1, 1).is_followed_by(Cursor(1, 2))
    assert not Cursor(1, 1).is_followed_by(Cursor(1, 3))
    assert not Cursor(1, 1).is_followed_by(Cursor(2, 1))


@pytest.mark.parametrize("text", ["", "1", "-", "1-", "-1", "a-1", "1-b", "1-2-3", "9" * 20 + "-1", " 1-1"])
def test_malformed_cursors_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        parse_cursor(text)
