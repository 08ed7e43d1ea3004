"""A client of event streams that costs little: it counts bytes."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from itertools import cycle, islice
from typing import cast

from launcher.ports import LOOPBACK
from tests.bench.gateway.event_service import EVENT

OPEN_SECONDS = 60.0


class BrokenStreamError(Exception):
    """A stream did not begin or ended too early."""


class Stream(asyncio.Protocol):
    """One open stream. `received` counts the bytes of its body, its chunks' frames included."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._head = b""
        self.received = 0
        self.failure = ""
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count."""
        if self.begun.done():
            self.received += len(data)
            return
        self._head += data
        head, end, body = self._head.partition(b"\r\n\r\n")
        if end:
            if b" 200 " not in head.partition(b"\r\n")[0]:
                self._fail(self._head.decode(errors="replace"))
                return
            self.received += len(body)
            self.begun.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note an end that was not asked for."""
        self._fail("the stream has ended")

    def _fail(self, failure: str) -> None:
        self.failure = self.failure or failure
        if not self.begun.done():
            self.begun.set_exception(BrokenStreamError(failure))


def event_count(streams: list[Stream]) -> float:
    """Return how many events have come over all of them. Raises BrokenStreamError if one has ended."""
    broken = next((stream.failure for stream in streams if stream.failure), "")
    if broken:
        raise BrokenStreamError(broken)
    return sum(stream.received for stream in streams) / len(EVENT)


@asynccontextmanager
async def open_streams(
    port: int, path: str, tokens: Mapping[str, str], number: int, *, at_once: int = 100
) -> AsyncGenerator[list[Stream]]:
    """Open so many streams, of each user in turn; `{user_id}` in the path is theirs, `{number}` the stream's."""
    loop, limit = asyncio.get_running_loop(), asyncio.Semaphore(at_once)

    async def open_one(number: int, user_id: str, token: str) -> Stream:
        target = path.format(user_id=user_id, number=number)
        request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        async with limit:
            _, stream = await loop.create_connection(lambda: Stream(request), LOOPBACK, port)
            await stream.begun
            return stream

    users = islice(cycle(tokens.items()), number)
    async with asyncio.timeout(OPEN_SECONDS):
        streams = await asyncio.gather(*(open_one(index, *user) for index, user in enumerate(users)))
    try:
        yield streams
    finally:
        for stream in streams:
            stream.transport.abort()
