"""A client of many idle streams that costs little: of each it counts the comments, and sees the end."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import cast

from contracts.frames import KEEP_ALIVE
from launcher.ports import LOOPBACK

AT_ONCE = 50
OPEN_SECONDS = 300.0


class BrokenStreamError(Exception):
    """A stream did not begin, or ended without the mark of a complete body."""


class WatchedStream(asyncio.Protocol):
    """One open stream; `comments` are those that have come so far."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._head: bytes | None = b""
        self.comments = 0
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count. A comment and the last chunk come in one piece each: they are written so, and nothing else comes."""
        if self._head is not None:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._head = None
            if b" 200 " in head.partition(b"\r\n")[0]:
                self.begun.set_result(None)
            else:
                self._fail(BrokenStreamError((head + data).decode(errors="replace")))
        self.comments += data.count(KEEP_ALIVE)
        if data.endswith(b"0\r\n\r\n") and not self.ended.done():
            self.ended.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note an end that was not asked for."""
        self._fail(BrokenStreamError(f"the connection has ended: {exc}"))

    def _fail(self, error: Exception) -> None:
        for future in (self.begun, self.ended):
            if not future.done():
                future.set_exception(error)
                future.exception()  # seen: nobody may be waiting for it


@asynccontextmanager
async def watched_streams(
    port: int, tokens: dict[str, str], runs: Sequence[tuple[str, str]]
) -> AsyncGenerator[list[WatchedStream]]:
    """Follow the runs, each given with its user. Raises BrokenStreamError and TimeoutError."""
    loop, limit = asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)

    async def follow(user_id: str, run_id: str) -> WatchedStream:
        line = f"GET /api/{user_id}/runs/{run_id}/events HTTP/1.1"
        request = f"{line}\r\nHost: localhost\r\nAuthorization: Bearer {tokens[user_id]}\r\n\r\n".encode()
        async with limit:
            _, stream = await loop.create_connection(lambda: WatchedStream(request), LOOPBACK, port)
            await stream.begun
        return stream

    async with asyncio.timeout(OPEN_SECONDS):
        streams = await asyncio.gather(*(follow(*run) for run in runs))
    try:
        yield streams
    finally:
        for stream in streams:
            stream.transport.abort()
