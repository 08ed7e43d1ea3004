"""Frames made of what is stored, where the log does not tell."""

from chat_service.relay import synthetic
from chat_service.relay.limits import RelayLimits
from chat_service.relay.passage import Passage
from chat_service.relay.record import RunRecord
from contracts.conversations import JsonObject
from contracts.frames import Cursor
from contracts.runs import Run


class StoredFrames:
    """What one reader is given instead of events. All raise RecordUnavailableError and RunGoneError."""

    def __init__(self, record: RunRecord, passage: Passage, limits: RelayLimits, *, run_frames: bool) -> None:
        self._record = record
        self._passage = passage
        self._limits = limits
        self._run_frames = run_frames

    async def for_gap(self, following: Cursor) -> bytes:
        """Return what is stored, in place of lost events before the `following` one."""
        return b"".join(self._passage.fill(await self._items(), following.attempt))

    async def for_terminal_event(self) -> bytes:
        """Return the event that ends the run, behind what becomes of items that dead attempts have left."""
        return b"".join(self._passage.settle(await self._items()))

    async def for_end(self, run: Run) -> bytes:
        """Return what is stored and not shown, and the run's end."""
        frames = self._passage.fill(await self._items()) + self._passage.withdrawals()
        if run.status == "failed":
            frames.append(synthetic.run_failed(run.error))
        if self._run_frames:
            frames.append(synthetic.run_ended(run))
        return b"".join(frames)

    async def _items(self) -> list[JsonObject]:
        return await self._record.items_within(self._limits.answer_seconds)
