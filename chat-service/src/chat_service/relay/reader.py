"""One reader of one run: turns what the hub hears and what the log holds into one gapless sequence of frames.

It subscribes first, then reads the log from its cursor, then follows. A frame at or below the cursor is dropped; one
that is not the very next sends the reader back to the log. Whatever is down, a reader ends: when it has heard nothing
for a lease it asks the history-service, whose word about the run is final.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog
from redis.exceptions import RedisError

from chat_service.relay import synthetic
from chat_service.relay.hub import Hub
from chat_service.relay.items import ItemGate, ItemTracker
from chat_service.relay.limits import RelayLimits
from chat_service.relay.log import EventLog, LoggedFrame
from chat_service.relay.metrics import ENDINGS, LOSSES, READERS, REREADS
from chat_service.relay.record import RecordUnavailableError, RunGoneError, RunRecord
from contracts.conversations import JsonObject
from contracts.frames import KEEP_ALIVE, LOG_START, Cursor, frame_cursor, frame_data, is_run_frame
from contracts.redis_keys import live_channel
from contracts.runs import TERMINAL_STATUSES, Run, RunEvent

log = structlog.get_logger(__name__)

Write = Callable[[bytes], Awaitable[None]]

RETRY_SECONDS = 1.0
LOST_MESSAGE = "The answer could not be followed any longer. It may still arrive: reload the conversation to see it."
GONE_MESSAGE = "This conversation was deleted."


class RunReader:
    """Relays one run to one client. A `hub.Listener`."""

    def __init__(
        self,
        record: RunRecord,
        *,
        hub: Hub,
        event_log: EventLog,
        limits: RelayLimits,
        cursor: Cursor = LOG_START,
        run_frames: bool = False,
    ) -> None:
        """Read from behind `cursor`; `run_frames` also passes on frames that are not ChatKit protocol."""
        self._record = record
        self._hub = hub
        self._log = event_log
        self._limits = limits
        self._cursor = cursor
        self._run_frames = run_frames
        self._queue: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._tracker = ItemTracker()
        self._gate: ItemGate | None = None
        self._stale = True
        self._ended = False
        self._now = asyncio.get_running_loop().time
        self._reread_at = 0.0
        self._check_at = 0.0
        self._written_at = self._proof_at = self._now()

    def deliver(self, frame: bytes) -> None:
        """Queue a live frame; a client too slow for its queue reads the log instead."""
        if self._stale:
            return
        if len(self._queue) >= self._limits.queue_frames:
            self._expire("overflow")
        else:
            self._queue.append(frame)
        self._wake.set()

    def resync(self) -> None:
        """Read the log again: live frames may have been missed."""
        if not self._stale:
            self._expire("reconnect")
        self._reread_at = 0.0
        self._wake.set()

    def stop(self) -> None:
        """End without a word: the client is gone."""
        self._ended = True
        self._wake.set()

    async def relay(self, write: Write, *, run: Run | None = None) -> None:
        """Write frames until the run's terminal event, or what stands in for it.

        `run` is the run as the caller just saw it, if it did: one that has ended is not waited for.
        """
        channel = live_channel(self._record.run_id)
        READERS.inc()
        try:
            await self._hub.subscribe(channel, self)
            has_ended = run is not None and run.status in TERMINAL_STATUSES
            self._check_at = self._now() + (0 if has_ended else self._check_interval)
            while not self._ended:
                await self._step(write)
        finally:
            self._hub.unsubscribe(channel, self)
            if self._timer is not None:
                self._timer.cancel()
            READERS.dec()

    @property
    def waiting_frames(self) -> int:
        """Frames that wait for the client; never more than the limit."""
        return len(self._queue)

    @property
    def _check_interval(self) -> float:
        return self._limits.lease_seconds if self._hub.connected else self._limits.lease_seconds / 3

    def _expire(self, reason: str) -> None:
        REREADS.labels(reason).inc()
        self._queue.clear()
        self._stale = True

    async def _step(self, write: Write) -> None:
        try:
            if self._stale and self._now() >= self._reread_at:
                await self._catch_up(write)
            elif self._queue:
                await self._forward(write)
            else:
                await self._idle(write)
        except RunGoneError:
            await self._end_with(synthetic.error(GONE_MESSAGE, allow_retry=False), "gone", write)
        except (RedisError, RecordUnavailableError) as error:
            log.warning("relay_read_failed", run_id=self._record.run_id, error=type(error).__name__)
            self._expire("failed")
            self._reread_at = self._now() + RETRY_SECONDS

    async def _catch_up(self, write: Write) -> None:
        """Pass on what the log holds behind the cursor."""
        self._stale = False
        while True:
            page = await self._log.page(self._record.run_id, self._cursor)
            if page and not self._is_continued_by(page[0]):
                await self._recover(write)
            start, frames = self._cursor, list[bytes]()
            for cursor, frame in page:
                if cursor > self._cursor and not self._ended:
                    self._accept(cursor, frame, frames)
            if self._cursor != start:
                await self._pass_on(frames, write)
            if self._ended or len(page) < self._log.page_entries:
                return

    def _is_continued_by(self, first: LoggedFrame) -> bool:
        """Tell whether a page read from the cursor begins where it must."""
        return first.cursor == (self._cursor if self._cursor != LOG_START else Cursor(1, 1))

    async def _forward(self, write: Write) -> None:
        """Pass on what is queued."""
        queue = self._queue
        start, frames = self._cursor, list[bytes]()
        gap: Cursor | None = None
        while queue and not self._ended:
            cursor = frame_cursor(queue[0])
            if cursor > self._cursor:
                if not self._cursor.is_followed_by(cursor):
                    gap = cursor
                    break
                self._accept(cursor, queue[0], frames)
            queue.popleft()
        if self._cursor != start:
            await self._pass_on(frames, write)
        if gap is not None:
            await self._bridge(gap, write)

    async def _bridge(self, gap: Cursor, write: Write) -> None:
        """Get over a gap before the queued frame at `gap`: from the log, or else from the stored items."""
        REREADS.labels("gap").inc()
        await self._catch_up(write)
        if self._cursor < gap and not self._cursor.is_followed_by(gap) and not (self._ended or self._stale):
            await self._recover(write)
            self._cursor = Cursor(gap.attempt, gap.seq - 1)

    def _accept(self, cursor: Cursor, frame: bytes, frames: list[bytes]) -> None:
        """Take the next frame of the run."""
        self._cursor = cursor
        if is_run_frame(frame):
            if RunEvent.model_validate_json(frame_data(frame)).is_terminal:
                self._ended = True
                ENDINGS.labels("event").inc()
                frames += self._withdrawals()
            if self._run_frames:
                frames.append(frame)
        elif self._gate is None or self._gate.admits(frame):
            self._tracker.note(frame)
            frames.append(frame)

    def _withdrawals(self) -> list[bytes]:
        """Return frames that withdraw what the client saw begin and the run has ended without."""
        return [synthetic.item_removed(item_id) for item_id in sorted(self._tracker.unfinished)]

    async def _pass_on(self, frames: list[bytes], write: Write) -> None:
        """Write frames; that there were any proves that the run can be followed."""
        now = self._now()
        self._proof_at = now
        self._check_at = now + self._check_interval
        if frames:
            self._written_at = now
            await write(frames[0] if len(frames) == 1 else b"".join(frames))

    async def _recover(self, write: Write) -> None:
        """Redis has lost events of the run: give what is stored instead, and go on from here."""
        LOSSES.inc()
        log.warning("relay_events_lost", run_id=self._record.run_id, cursor=str(self._cursor))
        items = await self._stored_items()
        self._gate = ItemGate(item["id"] for item in items)
        await self._pass_on([synthetic.item_done(item) for item in items], write)

    async def _stored_items(self) -> list[JsonObject]:
        """Return what is stored of the run; what is stored need not be withdrawn."""
        items = await self._record.items()
        self._tracker.unfinished.difference_update(item["id"] for item in items)
        return items

    async def _idle(self, write: Write) -> None:
        """Wait for news; keep the connection alive, and look after the run when there are none."""
        now = self._now()
        keepalive_at = self._written_at + self._limits.keepalive_seconds
        if now >= keepalive_at:
            self._written_at = now
            await write(KEEP_ALIVE)
        elif now >= self._check_at:
            await self._check(write)
        else:
            due = min(keepalive_at, self._check_at, self._reread_at if self._stale else keepalive_at)
            self._wake.clear()
            self._set_timer(due)
            await self._wake.wait()

    def _set_timer(self, due: float) -> None:
        """Wake up at `due` at the latest. A timer that rings too early is cheaper than a new one per frame."""
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._wake.set()

    async def _check(self, write: Write) -> None:
        """Ask the history-service about a run that has been silent."""
        try:
            run = await self._record.run()
            self._proof_at = self._now()
            self._check_at = self._proof_at + self._check_interval
            if run.status in TERMINAL_STATUSES:
                await self._finish(run, write)
            else:
                self._expire("silence")
        except RecordUnavailableError:
            now = self._now()
            self._check_at = now + min(RETRY_SECONDS, self._limits.lease_seconds / 3)
            if now - self._proof_at >= self._limits.lost_after_seconds:
                await self._end_with(synthetic.error(LOST_MESSAGE, allow_retry=True), "lost", write)

    async def _finish(self, run: Run, write: Write) -> None:
        """End with a run that has ended: by its last events if the log has them, else by what is stored."""
        try:
            await self._catch_up(write)
        except RedisError as error:
            log.warning("relay_read_failed", run_id=run.id, error=type(error).__name__)
        if self._ended:
            return
        frames = [synthetic.item_done(item) for item in await self._stored_items()]
        frames += self._withdrawals()
        if run.status == "failed":
            frames.append(synthetic.run_failed(run.error))
        if self._run_frames:
            frames.append(synthetic.run_ended(run))
        await self._end_with(b"".join(frames), "history", write)

    async def _end_with(self, chunk: bytes, source: str, write: Write) -> None:
        self._ended = True
        ENDINGS.labels(source).inc()
        log.info("relay_ended_without_event", run_id=self._record.run_id, source=source)
        if chunk:
            await write(chunk)
