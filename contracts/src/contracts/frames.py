"""Frames: the bytes of one server-sent event, written once by the worker and passed through unparsed.

A frame begins with its id, so a reader can order it without parsing JSON:

    id: <attempt>-<seq>\\n
    [event: run\\n]
    data: <JSON>\\n\\n

Frames without an `event:` line carry a ChatKit `ThreadStreamEvent`. Frames with `event: run` tell of the run
itself (`RunEvent`) and are not part of the ChatKit protocol.
"""

from typing import NamedTuple

ID_FIELD = b"id: "
RUN_EVENT_LINE = b"event: run\n"
DATA_FIELD = b"data: "

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment (WHATWG HTML, server-sent events): keeps idle proxies from cutting a quiet stream."""


class Cursor(NamedTuple):
    """Position in a run's event log; compares in log order. `seq` starts at 1 in every attempt."""

    attempt: int
    seq: int

    def __str__(self) -> str:
        return f"{self.attempt}-{self.seq}"

    def is_followed_by(self, other: "Cursor") -> bool:
        """Tell whether `other` is certainly the very next entry, so that nothing can lie between."""
        return other.attempt == self.attempt and other.seq == self.seq + 1


LOG_START = Cursor(0, 0)
"""The cursor before every entry."""


def parse_cursor(text: str | bytes) -> Cursor:
    """Parse `<attempt>-<seq>`. Raises ValueError for anything else."""
    attempt, separator, seq = (text.encode() if isinstance(text, str) else text).partition(b"-")
    if not (separator and attempt.isdigit() and seq.isdigit() and len(attempt) < 19 and len(seq) < 19):
        raise ValueError("a cursor is <attempt>-<seq>")
    return Cursor(int(attempt), int(seq))


def id_line(attempt: int, seq: int) -> bytes:
    """Return the first line of the frame at a cursor, line end included: no other frame begins with it."""
    return b"%b%d-%d\n" % (ID_FIELD, attempt, seq)


def chatkit_frame(cursor: Cursor, event: bytes) -> bytes:
    """Frame one ChatKit event, given as JSON on a single line."""
    return b"%b%d-%d\n%b%b\n\n" % (ID_FIELD, cursor.attempt, cursor.seq, DATA_FIELD, event)


def run_frame(cursor: Cursor, event: bytes) -> bytes:
    """Frame one `RunEvent`, given as JSON on a single line."""
    return b"%b%d-%d\n%b%b%b\n\n" % (
        ID_FIELD,
        cursor.attempt,
        cursor.seq,
        RUN_EVENT_LINE,
        DATA_FIELD,
        event,
    )


def frame_cursor(frame: bytes) -> Cursor:
    """Read a frame's cursor from its first line. Raises ValueError if it does not begin with an id."""
    if not frame.startswith(ID_FIELD):
        raise ValueError("a frame begins with its id")
    return parse_cursor(frame[len(ID_FIELD) : frame.index(b"\n")])


def is_run_frame(frame: bytes) -> bool:
    """Tell whether the frame is about the run, not ChatKit."""
    return frame.startswith(RUN_EVENT_LINE, frame.index(b"\n") + 1)


def frame_data(frame: bytes) -> bytes:
    """Return the JSON of a frame (a view of nothing else: one line)."""
    start = frame.index(DATA_FIELD) + len(DATA_FIELD)
    return frame[start : frame.index(b"\n", start)]
