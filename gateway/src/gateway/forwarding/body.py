"""The request's body on its way through: bounded, and never held as a whole."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from service_kit.problems import PayloadTooLargeError


class RequestBody:
    """Reads one request's body from its ASGI channel; afterwards watches that channel for the caller's going.

    `failure` is set when the body could not be read to its end: the sending side of an HTTP client only sees
    that its source broke off.
    """

    def __init__(self, receive: Receive, declared_size: bytes | None, limit: int) -> None:
        if declared_size is not None and int(declared_size) > limit:
            raise PayloadTooLargeError(limit=limit)
        self._receive = receive
        self._limit = limit
        self._complete = asyncio.Event()
        self.failure: PayloadTooLargeError | ClientDisconnect | None = None

    async def open(self) -> bytes | AsyncIterator[bytes]:
        """Return the body: the bytes themselves if they came in one piece, else a stream of them.

        Raises PayloadTooLargeError and ClientDisconnect.
        """
        chunk, more = await self._read(0)
        if more:
            return self._stream(chunk)
        self._complete.set()
        return chunk

    async def wait_for_disconnect(self) -> None:
        """Return once the caller has gone. Only after the whole body: both come over the same channel."""
        await self._complete.wait()
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

    async def _stream(self, chunk: bytes) -> AsyncIterator[bytes]:
        more, size = True, 0
        while True:
            size += len(chunk)
            if chunk:
                yield chunk
            if not more:
                break
            chunk, more = await self._read(size)
        self._complete.set()
