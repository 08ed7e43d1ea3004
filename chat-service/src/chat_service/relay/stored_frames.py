"""Frames made of what is stored, where the log does not tell."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from chat_service.relay import synthetic
from chat_service.relay.errors import RecordUnavailableError
from chat_service.relay.inquiry import Inquiry
from chat_service.relay.passage import Passage
from chat_service.relay.record import RunRecord
from contracts.frames import Cursor


class StoredFrames:
    """What one reader is given instead of events. All raise RecordUnavailableError and RunGoneError."""

    def __init__(self, record: RunRecord, passage: Passage, inquiry: Inquiry, *, run_frames: bool) -> None:
        self._record = record
        self._passage = passage
        self._inquiry = inquiry
        self._run_frames = run_frames

    async def for_gap(self, following: Cursor) -> bytes:
        """Return what is stored, in place of lost events before the `following` one."""
        async with self._in_time():
            items = await self._record.items()
        return b"".join(self._passage.fill(items, following.attempt))

    async def for_terminal_event(self) -> bytes:
        """Return the event that ends the run, behind what becomes of items that dead attempts have left."""
        async with self._in_time():
            items = await self._record.items()
        return b"".join(self._passage.settle(items))

    async def for_end(self) -> bytes:
        """Return what is stored and not shown, and the end of the run, which has ended."""
        async with self._in_time():
            run = await self._record.run()
        async with self._in_time():
            items = await self._record.items()
        frames = self._passage.fill(items) + self._passage.withdrawals()
        if run.status == "failed":
            frames.append(synthetic.run_failed(run.error))
        if self._run_frames:
            frames.append(synthetic.run_ended(run))
        return b"".join(frames)

    @asynccontextmanager
    async def _in_time(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(self._inquiry.patience_seconds):
                yield
        except TimeoutError as error:
            raise RecordUnavailableError("no answer in time") from error
