"""One reader of one run: turns what the hub hears and what the log holds into one gapless sequence of frames.

It subscribes first, then reads the log from its cursor, then follows. A frame at or below the cursor is dropped; one
that is not the very next sends the reader back to the log. While the client keeps up, live frames are written as they
are heard; its task wakes for everything else. Whatever is down, a reader ends: when it has heard nothing for a lease it
asks the history-service, whose word about the run is final.
"""

import asyncio
from collections import deque

import structlog
from redis.exceptions import RedisError

from chat_service.relay import synthetic
from chat_service.relay.alarm import Alarm
from chat_service.relay.errors import RecordUnavailableError, RunGoneError
from chat_service.relay.hub import Hub
from chat_service.relay.inquiry import RETRY_SECONDS, Inquiry
from chat_service.relay.limits import RelayLimits
from chat_service.relay.log import EventLog
from chat_service.relay.metrics import ENDINGS, LOSSES, READERS, REREADS
from chat_service.relay.outlet import Outlet
from chat_service.relay.passage import Passage
from chat_service.relay.record import RunRecord
from chat_service.relay.stored_frames import StoredFrames
from contracts.frames import KEEP_ALIVE, LOG_START, Cursor
from contracts.redis_keys import LIVE_CHECK, live_channel
from contracts.runs import TERMINAL_STATUSES, Run, RunStanding

log = structlog.get_logger(__name__)


class RunReader:
    """Relays one run to one client. A `hub.Listener`."""

    _outlet: Outlet

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
        self._passage = Passage(cursor, run_frames=run_frames)
        self._alarm = Alarm()
        self._inquiry = Inquiry(record, limits, on_answer=self._alarm.ring)
        self._stored = StoredFrames(record, self._passage, self._inquiry, run_frames=run_frames)
        self._queue: deque[bytes] = deque()
        self._failure: Exception | None = None
        self._stale = True
        self._ended = False
        self._now = asyncio.get_running_loop().time
        self._reread_at = 0.0
        self._written_at = self._now()

    def deliver(self, frame: bytes) -> None:
        """Queue a live frame; a client too slow for its queue reads the log instead."""
        if frame == LIVE_CHECK:
            self._inquiry.hasten_now()
            self._alarm.ring()
        elif not self._stale:
            self._queue.append(frame)
            if len(self._queue) > self._limits.queue_frames:
                self._expire("overflow")

    def flush(self) -> None:
        """Write what is queued as one chunk if the task has nothing else to do; wake it for whatever is left."""
        if not self._alarm.has_sleeper or not self._queue:
            return
        frames = list[bytes]()
        try:
            gap = self._take_queued(frames)
            if self._offer(frames) and gap is None and not self._passage.is_over:
                return
        except Exception as error:
            self._failure = error
        self._alarm.wake()

    def resync(self) -> None:
        """Read the log again: live frames may have been missed."""
        if not self._stale:
            self._expire("reconnect")
        self._reread_at = 0.0
        self._inquiry.hasten(self._check_interval)
        self._alarm.ring()

    def stop(self) -> None:
        """End without a word: the client is gone."""
        self._ended = True
        self._alarm.wake()

    async def relay(self, outlet: Outlet, *, run: Run | None = None) -> None:
        """Write frames until the run's terminal event, or what stands in for it.

        `run` is the run as the caller just saw it, if it did: one that has ended is not waited for.
        """
        self._outlet = outlet
        channel = live_channel(self._record.run_id)
        READERS.inc()
        try:
            self._inquiry.prove(self._now(), self._limits.lease_seconds)
            await self._hub.subscribe(channel, self)
            self._inquiry.hasten(self._check_interval)
            if run is not None and run.status in TERMINAL_STATUSES:
                self._inquiry.hasten_now()
            while not self._ended:
                await self._step()
        finally:
            self._hub.unsubscribe(channel, self)
            self._inquiry.close()
            self._alarm.clear()
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
        self._alarm.wake()

    async def _step(self) -> None:
        try:
            if self._passage.is_unsettled:
                await self._settle()
            elif self._queue:
                await self._forward()
            elif self._stale and self._now() >= self._reread_at:
                await self._catch_up()
            elif self._stale or not self._alarm.is_set:
                await self._see_to_what_is_due()
            else:
                await self._sleep()
        except RunGoneError:
            await self._end_with(synthetic.GONE, "gone")
        except (RedisError, RecordUnavailableError) as error:
            log.warning("relay_read_failed", run_id=self._record.run_id, error=type(error).__name__)
            self._expire("failed")
            self._reread_at = self._now() + RETRY_SECONDS

    async def _settle(self) -> None:
        """End with a run whose dead attempts have left items behind: the store knows which of them stay."""
        try:
            end = await self._stored.for_terminal_event()
        except RecordUnavailableError:
            self._inquiry.fail()
            if self._inquiry.is_lost:
                await self._end_with(synthetic.LOST, "lost")
            else:
                await asyncio.sleep(min(RETRY_SECONDS, self._inquiry.patience_seconds))
        else:
            await self._end_with(end, "event")

    async def _sleep(self) -> None:
        """Wait until there is news that `flush` did not deal with, or something is due."""
        await self._alarm.sleep()
        await self._outlet.drain()
        if self._failure is not None:
            raise self._failure

    def _take_queued(self, frames: list[bytes]) -> Cursor | None:
        """Take queued frames up to a gap; returns the cursor behind it."""
        queue, passage = self._queue, self._passage
        while queue and not passage.is_over:
            gap = passage.take(queue[0], frames)
            if gap is not None:
                return gap
            queue.popleft()
        return None

    async def _forward(self) -> None:
        """Pass on what is queued, and get over a gap: from the log, or else from the stored items."""
        frames = list[bytes]()
        gap = self._take_queued(frames)
        await self._write(frames)
        if gap is None:
            return
        REREADS.labels("gap").inc()
        await self._catch_up()
        here = self._passage.cursor
        if here < gap and not here.is_followed_by(gap) and not (self._ended or self._stale):
            await self._recover(gap)
            self._passage.move(Cursor(gap.attempt, gap.seq - 1))

    async def _catch_up(self) -> None:
        """Pass on what the log holds behind the cursor. Raises RedisError, RecordUnavailableError, RunGoneError."""
        self._stale = False
        while not self._ended:
            cursor = self._passage.cursor
            page = await self._log.page(self._record.run_id, cursor, seconds=self._limits.log_seconds)
            frames = list[bytes]()
            for place, entry in enumerate(page):
                if self._passage.is_over:
                    break
                # Behind others, the first of an attempt is what its worker wrote next: it has seen what was there.
                if not (place and entry.cursor.seq == 1) and not self._passage.is_continued_by(entry.cursor):
                    if frames:  # a hole alone proves nothing, however often it is read
                        await self._write(frames)
                        frames.clear()
                    await self._recover(entry.cursor)
                self._passage.take_logged(entry.cursor, entry.frame, frames)
            if self._passage.cursor != cursor:
                await self._write(frames)
            if len(page) < self._log.page_entries:
                return

    async def _recover(self, following: Cursor) -> None:
        """Redis has lost events of the run: give what is stored instead, and go on with the `following` one."""
        LOSSES.inc()
        log.warning("relay_events_lost", run_id=self._record.run_id, cursor=str(self._passage.cursor))
        await self._send(await self._stored.for_gap(following))

    def _offer(self, frames: list[bytes]) -> bool:
        """Write what has been taken; that there was anything proves that the run can be followed."""
        now = self._now()
        self._inquiry.prove(now, self._check_interval)
        if self._passage.has_ended and not self._ended:
            self._ended = True
            ENDINGS.labels("event").inc()
        self._written_at = now
        return not frames or self._outlet.offer(frames[0] if len(frames) == 1 else b"".join(frames))

    async def _write(self, frames: list[bytes]) -> None:
        if not self._offer(frames):
            await self._outlet.drain()

    async def _send(self, chunk: bytes) -> None:
        """Write what proves nothing."""
        self._written_at = self._now()
        if chunk and not self._outlet.offer(chunk):
            await self._outlet.drain()

    async def _see_to_what_is_due(self) -> None:
        """Look after a silent run, keep the connection alive, and set the timer."""
        inquiry = self._inquiry
        keepalive_at = self._written_at + self._limits.keepalive_seconds
        if standing := inquiry.answer(self._check_interval):
            await self._look_after(standing)
        elif inquiry.is_lost:
            await self._end_with(synthetic.LOST, "lost")
        elif self._now() >= keepalive_at:
            await self._send(KEEP_ALIVE)
        else:
            inquiry.ask_if_due()
            due = min(keepalive_at, inquiry.next_at)
            self._alarm.set(min(due, self._reread_at) if self._stale else due)
            await self._sleep()

    async def _look_after(self, standing: RunStanding) -> None:
        """Act upon the history-service's word about a run that has been silent."""
        if standing.status in TERMINAL_STATUSES:
            try:
                await self._finish()
            except RecordUnavailableError:
                self._inquiry.fail()
                raise
        elif standing.attempt > 0:
            self._expire("silence")

    async def _finish(self) -> None:
        """End with a run that has ended: by its last events if the log has them, else by what is stored."""
        try:
            await self._catch_up()
        except RedisError as error:
            log.warning("relay_read_failed", run_id=self._record.run_id, error=type(error).__name__)
        if not self._passage.is_over:
            await self._end_with(await self._stored.for_end(), "history")

    async def _end_with(self, chunk: bytes, source: str) -> None:
        self._ended = True
        ENDINGS.labels(source).inc()
        log.info("relay_ended_without_event", run_id=self._record.run_id, source=source)
        await self._send(chunk)
