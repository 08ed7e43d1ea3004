"""Connections to Redis that are reset while nobody uses them, under the event loop that services run on."""

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvloop
from pydantic import SecretStr
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection

from agent_worker.log_writer import LogWriter, open_log_writer
from agent_worker.resources import open_resources
from agent_worker.run_log import RunLog
from agent_worker.settings import Settings
from contracts.ids import new_id
from tests.integration.agent_worker.conftest import KEYS
from tests.support.servers import eventually
from tests.support.tcp_proxy import TcpProxy

Scenario = Callable[["Line"], Coroutine[Any, Any, None]]

EVENT = b'{"type":"progress_update","text":"x"}'


class _Resetting(TcpProxy):
    """A proxy whose connections end with a reset."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # To linger for no time is to reset (socket(7), tcp(7)).
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await super()._serve(reader, writer)


class Line:
    """The way to Redis, and the connections that were made over it."""

    def __init__(self, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._port = urlsplit(redis_url).port
        assert self._port is not None
        self._redis_url = redis_url
        self._proxy = _Resetting(self._port)
        self._made: list[AbstractConnection] = []
        make = ConnectionPool.make_connection

        def make_noted(pool: ConnectionPool) -> AbstractConnection:
            self._made.append(make(pool))
            return self._made[-1]

        monkeypatch.setattr(ConnectionPool, "make_connection", make_noted)

    @property
    def url(self) -> str:
        """Redis at the line's other end."""
        return self._redis_url.replace(f":{self._port}", f":{self._proxy.port}")

    async def reset(self, connections: int) -> None:
        """Reset so many connections, which are all, and wait until the event loop has heard of it."""
        writers = [connection._writer for connection in self._made]  # pyright: ignore[reportPrivateUsage]
        assert self._proxy.cut(1.0, Random(0)) == connections  # noqa: S311 - all are cut
        await eventually(
            lambda: sum(writer is not None and writer.transport.is_closing() for writer in writers) == connections,
            what="closed",
        )

    async def carry(self, scenario: Scenario) -> None:
        """Play the scenario while the line is there."""
        await self._proxy.start()
        try:
            await scenario(self)
        finally:
            await self._proxy.stop()


def _write(writer: LogWriter) -> RunLog:
    return RunLog(
        writer,
        new_id("run"),
        1,
        ttl_seconds=60,
        ttl_after_end_seconds=60,
        max_events=1000,
        on_fenced=lambda: None,
    )


async def _log_writer_alone(line: Line) -> None:
    """Its connection is one of redis-py's own: what redis-py does not expect must not end the writing for good."""
    redis = Redis.from_url(line.url)
    async with open_log_writer(redis, flush_seconds=0.0) as writer:
        with _write(writer) as run_log:
            run_log.append(EVENT)
            assert await run_log.drain(10)
            await line.reset(1)
            run_log.append(EVENT)
            assert await run_log.drain(10)
    await redis.aclose()


async def _all_that_a_worker_holds(line: Line) -> None:
    settings = Settings(
        redis_url=line.url, internal_signing_key=SecretStr(KEYS["agent-worker"][0]), model_provider="demo"
    )
    async with open_resources(settings) as resources:
        with _write(resources.log_writer) as run_log:

            async def use() -> None:
                run_log.append(EVENT)
                assert await run_log.drain(10)
                assert await resources.redis.ping()
                assert await resources.wake_redis.ping()

            await use()
            await line.reset(3)
            await use()


@pytest.mark.parametrize("scenario", [_log_writer_alone, _all_that_a_worker_holds])
async def test_a_reset_connection_is_replaced(
    scenario: Scenario, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def play() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(Line(redis_url, monkeypatch).carry(scenario))

    await asyncio.to_thread(play)
