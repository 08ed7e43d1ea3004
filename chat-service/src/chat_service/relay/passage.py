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
        """Let pass what lies behind `cursor`; `run_frames` also lets frames pass that are not ChatKit protocol.

        The log is to be read from its start in any case: what the client has been shown before has to be known.
        """
        self._seen = cursor
        self._is_new = cursor == LOG_START
        self._run_frames = run_frames
        self._tracker = ItemTracker()
        self._gate: ItemGate | None = None
        self.has_ended = False
        """Whether the run's terminal event has passed."""
        self._ending: bytes | None = None
        self.move(_BEFORE_THE_FIRST)

    @property
    def is_over(self) -> bool:
        """Whether the run's terminal event has come: nothing follows it."""
        return self.has_ended or self.is_unsettled

    @property
    def is_unsettled(self) -> bool:
        """Whether the run has ended and left items unfinished: what is stored of it goes to `settle`."""
        return self._ending is not None

    @property
    def cursor(self) -> Cursor:
        """The last entry seen."""
        return Cursor(self._attempt, self._seq)

    def move(self, cursor: Cursor) -> None:
        """Go on behind `cursor`."""
        self._attempt, self._seq = cursor
        self._next_id = id_line(self._attempt, self._seq + 1)

    def is_continued_by(self, cursor: Cursor) -> bool:
        """Tell whether a part of the log that begins at `cursor` begins where it must: nothing new is lost."""
        return (
            any(cursor == here or here.is_followed_by(cursor) for here in (self.cursor, self._seen))
            or self.cursor < cursor < self._seen
        )

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
        if cursor > self.cursor and not self.is_over:
            self.move(cursor)
            self._pass(frame, frame.index(b"\n") + 1, passed)

    def fill(self, items: Sequence[JsonObject], attempt: int = 0) -> list[bytes]:
        """Return frames of stored items that stand in for what was lost; what would show a hole is held back later.

        If it goes on with a later attempt, what an earlier one has left unfinished is withdrawn: nobody else will.
        """
        self._tracker.unfinished.difference_update(item["id"] for item in items)
        self._gate = ItemGate(item["id"] for item in items)
        frames = [synthetic.item_done(item) for item in items]
        if attempt > self._attempt:
            frames += self.withdrawals()
            self._tracker.unfinished.clear()
        return frames

    def settle(self, items: Sequence[JsonObject]) -> list[bytes]:
        """Return the end of a run that was unsettled: its stored items, what is withdrawn, and its terminal event."""
        return [*self.fill(items), *self.withdrawals(), self._ending or b""]

    def withdrawals(self) -> list[bytes]:
        """Return frames that withdraw what the client saw begin and the run has ended without."""
        return [synthetic.item_removed(item_id) for item_id in sorted(self._tracker.unfinished)]

    def _pass(self, frame: bytes, start: int, passed: list[bytes]) -> None:
        """Let the frame, whose second line is at `start`, pass or not."""
        self._is_new = self._is_new or self.cursor > self._seen
        if self._gate is None and frame.startswith(_UPDATED, start):
            if self._is_new:
                passed.append(frame)
        elif is_run_frame(frame):
            self._pass_run_frame(frame, passed)
        elif self._gate is None or self._gate.admits(frame):
            self._tracker.note(frame)
            if self._is_new:
                passed.append(frame)

    def _pass_run_frame(self, frame: bytes, passed: list[bytes]) -> None:
        """Let a terminal event pass in any case: a stream ends with one."""
        is_terminal = RunEvent.model_validate_json(frame_data(frame)).is_terminal
        shown = frame if self._run_frames else b""
        if is_terminal and self._tracker.unfinished:
            self._ending = shown
            return
        self.has_ended = is_terminal
        if shown and (is_terminal or self._is_new):
            passed.append(shown)
