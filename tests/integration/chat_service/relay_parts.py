"""Parts of relay tests: a hub and a log on the real Valkey, and a history-service reduced to one run."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from redis.asyncio import Redis

from chat_service.relay.errors import RecordUnavailableError, RunGoneError
from chat_service.relay.hub import Hub
from chat_service.relay.limits import RelayLimits
from chat_service.relay.log import EventLog
from chat_service.relay.reader import RunReader
from chat_service.relay.record import RunRecord
from chat_service.relay.watch import RunWatch
from chat_service.resources import create_redis
from contracts.conversations import JsonObject
from contracts.frames import LOG_START, Cursor
from contracts.ids import new_id
from contracts.runs import Run, RunStanding, RunStatus
from history_client import HistoryClient, HistoryUnavailableError, UserHistory
from tests.support.servers import eventually

LIMITS = RelayLimits(queue_frames=256, keepalive_seconds=60.0, lease_seconds=60.0)


class OneRun(RunRecord):
    """What the history-service says of one run; tests change it as they go."""

    def __init__(self, run_id: str | None = None) -> None:
        now = datetime.now(UTC)
        self.row = Run(
            id=run_id or new_id("run"),
            conversation_id=new_id("thr"),
            user_id="alice",
            status="in_progress",
            attempt=1,
            created_at=now,
        )
        super().__init__(cast("UserHistory", None), self.row, cast("RunWatch", None))
        self.stored: list[JsonObject] = []
        self.is_down = False
        self.is_gone = False
        self.asked = 0

    def end(self, status: RunStatus, **changes: Any) -> None:
        """Let the run end."""
        self.row = self.row.model_copy(update={"status": status, **changes})

    def watch(self, limits: RelayLimits) -> None:
        """Let a reader's questions be put as those limits say."""
        self._watch = RunWatch(_Standings(self), limits)

    async def run(self) -> Run:
        """Return the row."""
        self._answer()
        return self.row

    async def items(self) -> list[JsonObject]:
        """Return the stored items."""
        self._answer()
        return list(self.stored)

    def _answer(self) -> None:
        self.asked += 1
        if self.is_down:
            raise RecordUnavailableError("down")
        if self.is_gone:
            raise RunGoneError("run_not_found")


class _Standings(HistoryClient):
    """Answers questions about everybody's runs, of which there is one."""

    def __init__(self, record: OneRun) -> None:
        self._record = record

    async def run_standings(self, run_ids: list[str]) -> list[RunStanding]:
        """Answer as the record does."""
        assert run_ids == [self._record.run_id]
        try:
            run = await self._record.run()
        except RunGoneError:
            return []
        except RecordUnavailableError as error:
            raise HistoryUnavailableError("upstream_unavailable", "down") from error
        return [RunStanding(id=run.id, status=run.status, attempt=run.attempt)]


class Client:
    """Reads one run in a task; can be made to stop reading."""

    def __init__(self, reader: RunReader, run: Run | None = None) -> None:
        self.reader = reader
        self.received = bytearray()
        self.writes: list[bytes] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self._waiting: bytes | None = None
        self.task = asyncio.create_task(reader.relay(self, run=run))

    def offer(self, chunk: bytes) -> bool:
        """Take the chunk, at once if the client reads."""
        assert self._waiting is None, "offered before the client had taken what was offered"
        if self.reading.is_set():
            self._take(chunk)
        else:
            self._waiting = chunk
        return self._waiting is None

    async def drain(self) -> None:
        """Wait until the client reads."""
        if self._waiting is not None:
            await self.reading.wait()
            chunk, self._waiting = self._waiting, None
            self._take(chunk)

    def _take(self, chunk: bytes) -> None:
        self.writes.append(chunk)
        self.received += chunk

    async def until(self, part: bytes) -> None:
        """Wait until it has received this."""
        await eventually(lambda: part in self.received, seconds=10, what=f"received {part!r}")

    async def finish(self, seconds: float = 20.0) -> bytes:
        """Wait for the stream's end; returns all of it."""
        async with asyncio.timeout(seconds):
            await self.task
        return bytes(self.received)


@dataclass
class RelayBench:
    """A hub and a log on one Valkey."""

    redis: Redis
    hub: Hub
    log: EventLog

    def client(
        self,
        record: OneRun,
        *,
        limits: RelayLimits = LIMITS,
        cursor: Cursor = LOG_START,
        run_frames: bool = True,
        hub: Hub | None = None,
        run: Run | None = None,
    ) -> Client:
        """Begin to read a run."""
        record.watch(limits)
        return Client(
            RunReader(
                record, hub=hub or self.hub, event_log=self.log, limits=limits, cursor=cursor, run_frames=run_frames
            ),
            run,
        )

    async def subscribed(self, channels: int = 1) -> None:
        """Wait until the server has confirmed so many channels of all hubs."""

        async def is_so() -> bool:
            return len(await self.redis.pubsub_channels("run:*")) == channels

        await eventually(is_so, what="subscribed")


@asynccontextmanager
async def relay_bench(
    redis_url: str, *, page_entries: int = 8, ping_seconds: float = 5.0
) -> AsyncGenerator[RelayBench]:
    """Open a bench; small pages, so that tests turn some."""
    redis = create_redis(redis_url)
    hub = Hub(redis_url, ping_seconds=ping_seconds)
    hub.start()
    try:
        await eventually(lambda: hub.connected, what="hub connected")
        yield RelayBench(redis, hub, EventLog(redis, page_entries=page_entries))
    finally:
        await hub.aclose()
        await redis.aclose()


def delta(text: str) -> dict[str, Any]:
    """Return a small event."""
    return {"type": "progress_update", "text": text}
