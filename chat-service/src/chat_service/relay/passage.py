"""Which frames of a run one client gets: in order, none twice, none that would show a hole. No I/O."""

from collections.abc import Sequence

from chat_service.relay import synthetic
from chat_service.relay.items import ItemGate, ItemTracker
from contracts.conversations import JsonObject
from contracts.frames import DATA_FIELD, LOG_START, Cursor, frame_cursor, frame_data, id_line, is_run_frame
from contracts.runs import RunEvent

_BEFORE_THE_FIRST = Cursor(1, 0)

# By far the most frames are updates; the worker writes `type` first and without blanks (see `items`).
_UPDATED = DATA_FIELD + b'{"type":"thread.item.updated"'


class Passage:
    """A client's place in a run's event log, and what it has been shown of the run's items.

    A frame is known to be the very next by its first bytes: nothing is parsed for that. Methods append what the client
    gets to `passed`.
    """

    def __init__(self, cursor: Cursor = LOG_START, *, run_frames: bool = False) -> None:
        """Begin behind `cursor`; `run_frames` also lets frames pass that are not ChatKit protocol."""
        self._run_frames = run_frames
        self._tracker = ItemTracker()
        self._gate: ItemGate | None = None
        self.has_ended = False
        """Whether the run's terminal event has passed."""
        self.move(max(cursor, _BEFORE_THE_FIRST))

    @property
    def cursor(self) -> Cursor:
        """The last entry seen."""
        return Cursor(self._attempt, self._seq)

    def move(self, cursor: Cursor) -> None:
        """Go on behind `cursor`."""
        self._attempt, self._seq = cursor
        self._next_id = id_line(self._attempt, self._seq + 1)

    def is_continued_by(self, cursor: Cursor) -> bool:
        """Tell whether a part of the log that begins at `cursor` begins where it must: nothing before it is lost."""
        here = self.cursor
        return cursor == here or here.is_followed_by(cursor)

    def take(self, frame: bytes, passed: list[bytes]) -> Cursor | None:
        """Take a live frame. Returns its cursor if something may lie between, and the frame is not taken."""
        if frame.startswith(self._next_id):
            self._seq += 1
            start = len(self._next_id)
            self._next_id = id_line(self._attempt, self._seq + 1)
            self._pass(frame, start, passed)
            return None
        cursor = frame_cursor(frame)
        return cursor if cursor > self.cursor else None

    def take_logged(self, cursor: Cursor, frame: bytes, passed: list[bytes]) -> None:
        """Take the next frame of the log, whatever its cursor; one that was seen is dropped."""
        if cursor > self.cursor and not self.has_ended:
            self.move(cursor)
            self._pass(frame, frame.index(b"\n") + 1, passed)

    def fill(self, items: Sequence[JsonObject]) -> list[bytes]:
        """Return frames of stored items that stand in for what was lost; what would show a hole is held back later."""
        self._tracker.unfinished.difference_update(item["id"] for item in items)
        self._gate = ItemGate(item["id"] for item in items)
        return [synthetic.item_done(item) for item in items]

    def withdrawals(self) -> list[bytes]:
        """Return frames that withdraw what the client saw begin and the run has ended without."""
        return [synthetic.item_removed(item_id) for item_id in sorted(self._tracker.unfinished)]

    def _pass(self, frame: bytes, start: int, passed: list[bytes]) -> None:
        """Let the frame, whose second line is at `start`, pass or not."""
        if self._gate is None and frame.startswith(_UPDATED, start):
            passed.append(frame)
        elif is_run_frame(frame):
            if RunEvent.model_validate_json(frame_data(frame)).is_terminal:
                self.has_ended = True
                passed += self.withdrawals()
            if self._run_frames:
                passed.append(frame)
        elif self._gate is None or self._gate.admits(frame):
            self._tracker.note(frame)
            passed.append(frame)
