"""One connection to Redis writes the event logs of all of a worker's runs, those due together in one exchange."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from hashlib import sha1
from typing import Any, cast

import hiredis
import structlog
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, RedisError, ResponseError

from agent_worker.run_log import APPEND, Arguments, RunLog

log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.2
_PACK = cast("Callable[[tuple[str | int | bytes, ...]], bytes]", cast("Any", hiredis).pack_command)
_SHA = sha1(APPEND.encode(), usedforsecurity=False).hexdigest()


class LogWriter:
    """Writes what is due: events at once, text at once and then at most once per interval.

    The intervals of all logs end together: a process with fifty streams then asks Redis 25 times a second, not 1,250
    times. One exchange is under way at a time; what becomes due meanwhile goes with the next.
    """

    def __init__(self, connection: AbstractConnection, *, flush_seconds: float) -> None:
        self._connection = connection
        self._flush_seconds = flush_seconds
        self._due: dict[RunLog, None] = {}
        self._waiting: dict[RunLog, None] = {}
        self._written: set[RunLog] = set()
        self._is_due = asyncio.Event()
        self._interval: asyncio.TimerHandle | None = None

    def write_at_once(self, run_log: RunLog) -> None:
        """Write what the log holds as soon as possible."""
        self._due[run_log] = None
        self._is_due.set()

    def write_text(self, run_log: RunLog) -> None:
        """Write the log's text at once, or at the interval's end if the log was written in this interval."""
        if run_log in self._written:
            self._waiting[run_log] = None
        else:
            self.write_at_once(run_log)

    async def write_forever(self) -> None:
        """Write until cancelled. While Redis is away, try again and again."""
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            logs, self._due = self._due, {}
            calls = {run_log: call for run_log in logs if (call := run_log.next_call()) is not None}
            if not calls:
                continue
            self._written.update(calls)
            try:
                await self._exchange(calls)
            except RedisError as error:
                log.warning("run_logs_write_failed", runs=len(calls), error=type(error).__name__)
                await self._write_again_later(calls)
            except Exception:
                # It writes for all runs: without it none would be heard any more. What is left to read is unknown.
                log.exception("run_logs_write_crashed", runs=len(calls))
                await self._connection.disconnect(nowait=True)
                await self._write_again_later(calls)
            if self._interval is None:
                self._begin_interval()

    async def _write_again_later(self, logs: Iterable[RunLog]) -> None:
        await asyncio.sleep(RETRY_SECONDS)
        self._due = dict.fromkeys(logs) | self._due
        self._is_due.set()

    async def _exchange(self, calls: dict[RunLog, Arguments]) -> None:
        """Send all calls, then take their answers, in order. Raises RedisError if the connection fails."""
        await self._connection.send_packed_command(b"".join(_packed(call) for call in calls.values()))
        unknown: list[RunLog] = []
        for run_log in calls:
            try:
                is_accepted = cast("int", await cast("Any", self._connection).read_response())
            except NoScriptError:
                unknown.append(run_log)
            except ResponseError as error:
                log.warning("run_log_write_refused", error=str(error))
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self.write_at_once, run_log)
            else:
                run_log.accept() if is_accepted else run_log.refuse()
        if unknown:
            await self._connection.send_command("SCRIPT", "LOAD", APPEND)
            await self._connection.read_response()
            for run_log in unknown:
                self.write_at_once(run_log)

    def _begin_interval(self) -> None:
        self._interval = asyncio.get_running_loop().call_later(self._flush_seconds, self._end_interval)

    def _end_interval(self) -> None:
        self._interval = None
        self._written.clear()
        for run_log in self._waiting:
            self.write_at_once(run_log)
        self._waiting.clear()


@asynccontextmanager
async def open_log_writer(redis: Redis, *, flush_seconds: float) -> AsyncGenerator[LogWriter]:
    """Give a writer with a connection of its own, made as the client makes its own. Nothing is connected yet."""
    connection = cast("AbstractConnection", cast("Any", redis.connection_pool).make_connection())
    writer = LogWriter(connection, flush_seconds=flush_seconds)
    writing = asyncio.create_task(writer.write_forever())
    try:
        yield writer
    finally:
        writing.cancel()
        await asyncio.wait({writing})
        await connection.disconnect(nowait=True)


def _packed(call: Arguments) -> bytes:
    # hiredis packs in a twentieth of redis-py's time.
    return _PACK(("EVALSHA", _SHA, 2, *call))
