"""The request's body on its way through: bounded, and never held as a whole."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterable

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from service_kit.problems import PayloadTooLargeError


class RequestBody:
    """Reads one request's body from its ASGI channel; afterwards watches that channel for the caller's going.

    `failure` is set when the body could not be read to its end: the sending side of an HTTP client only sees
    that its source broke off. `came_at` is when the last piece of a streamed body came, on the loop's clock; infinite
    while the next one is waited for.
    """

    __slots__ = ("_limit", "_receive", "_streaming", "came_at", "failure")

    def __init__(self, receive: Receive, headers: Iterable[tuple[bytes, bytes]], limit: int) -> None:
        declared = next((value for name, value in headers if name == b"content-length"), None)
        if declared is not None and int(declared) > limit:
            raise PayloadTooLargeError(limit=limit)
        self._receive = receive
        self._limit = limit
        self._streaming: asyncio.Event | None = None
        """Set when a body that comes in pieces has come wholly, or is read no more."""
        self.failure: PayloadTooLargeError | ClientDisconnect | None = None
        self.came_at = 0.0

    async def open(self) -> bytes | AsyncIterator[bytes]:
        """Return the body: the bytes themselves if they came in one piece, else a stream of them.

        Raises PayloadTooLargeError and ClientDisconnect.
        """
        chunk, more = await self._read(0)
        if more:
            self._streaming = asyncio.Event()
            return self._stream(chunk, self._streaming)
        return chunk

    def leave(self) -> None:
        """Read no more of it: the service has answered before it was complete."""
        if self._streaming is not None:
            self._streaming.set()

    async def wait_for_disconnect(self) -> None:
        """Return once the caller has gone. Only after what is read of the body: both come over the same channel."""
        if self._streaming is not None:
            await self._streaming.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _read(self, size: int) -> tuple[bytes, bool]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.failure = ClientDisconnect()
            raise self.failure
        chunk: bytes = message.get("body", b"")
        if size + len(chunk) > self._limit:
            self.failure = PayloadTooLargeError(limit=self._limit)
            raise self.failure
        return chunk, message.get("more_body", False)

    async def _stream(self, chunk: bytes, complete: asyncio.Event) -> AsyncIterator[bytes]:
        now = asyncio.get_running_loop().time
        more, size = True, 0
        while True:
            size += len(chunk)
            if chunk:
                yield chunk
            if not more:
                break
            self.came_at = math.inf
            try:
                chunk, more = await self._read(size)
            finally:
                self.came_at = now()
        complete.set()
