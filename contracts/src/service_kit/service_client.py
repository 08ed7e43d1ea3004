"""Asking another service over connections that are kept.

    async with open_service(settings.history_url) as service:
        answer = await service.request("GET", "/readyz")

What can go wrong: `UnreachableError` (nothing was sent), `BrokenAnswerError` (the answer is lost: the service may have
acted), `LateAnswerError` (there is none in time: it may yet act).
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

from service_kit.answers import Answer, LateAnswerError, OpenAnswer, Silence
from service_kit.http import MAX_CONNECTIONS, RESPONSE_TIMEOUT_SECONDS
from service_kit.http_connections import ConnectionPool
from service_kit.http_exchange import BrokenAnswerError, Exchange

Body = bytes | AsyncIterable[bytes]

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_TARGET = re.compile(r"/[!-~]*")


class ServiceClient:
    """Asks one service; made by `open_service` in the event loop that it is used in.

    A path begins with a slash, is quoted already and may have a query. Where `idempotent` says that doing it twice
    changes nothing, a request whose kept connection turns out to have been closed is sent once more, on a new one.
    """

    def __init__(self, url: str, *, silence_seconds: float, connections: int) -> None:
        self.url = url
        self._pool = ConnectionPool(url, connections)
        self._places = asyncio.Semaphore(connections)
        self._silence_seconds = silence_seconds
        self._loop = asyncio.get_running_loop()

    async def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] = _NO_HEADERS,
        body: Body = b"",
        *,
        idempotent: bool = False,
    ) -> Answer:
        """Return the answer, whatever its status. Raises what the module names, and what an iterated `body` raises."""
        answer = await self.open(method, path, headers, body, idempotent=idempotent)
        try:
            return await answer.read()
        finally:
            answer.close()

    async def open(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] = _NO_HEADERS,
        body: Body = b"",
        *,
        idempotent: bool = False,
    ) -> OpenAnswer:
        """Return an answer that has begun, to be read and closed by the caller. Raises as `request` does."""
        if not _TARGET.fullmatch(path):
            raise ValueError("a path that is not quoted")
        target, lines = self._pool.target(path), _lines_of(headers)
        await self._take_place()
        try:
            exchange, silence = await self._send(method, target, lines, body, idempotent=idempotent)
        except BaseException:
            self._places.release()
            raise
        return OpenAnswer(exchange, silence, self._places)

    async def ping(self, path: str) -> None:
        """Ask for a path. Raises BrokenAnswerError unless the status is 200, and what the module names."""
        answer = await self.request("GET", path, idempotent=True)
        if answer.status != 200:
            raise BrokenAnswerError(f"status {answer.status}")

    def close(self) -> None:
        """End all connections; what is still asked fails."""
        self._pool.close()

    async def _take_place(self) -> None:
        """Wait for a free connection, no longer than for an answer."""
        if not self._places.locked():
            await self._places.acquire()
            return
        try:
            async with asyncio.timeout(self._silence_seconds):
                await self._places.acquire()
        except TimeoutError as error:
            raise LateAnswerError("no free connection") from error

    async def _send(
        self, method: str, target: bytes, lines: bytes, body: Body, *, idempotent: bool
    ) -> tuple[Exchange, Silence]:
        again = False
        while True:
            exchange = await self._pool.begin(fresh=again)
            silence = Silence(exchange, self._loop, self._silence_seconds)
            try:
                await exchange.send(
                    method, target, lines, body if isinstance(body, bytes) else _waited_for(body, silence)
                )
            except BaseException as error:
                silence.end()
                exchange.close()
                was_closed = isinstance(error, BrokenAnswerError) and not (exchange.is_first or exchange.has_begun)
                again = was_closed and idempotent and isinstance(body, bytes)
                if not again:
                    raise
            else:
                return exchange, silence


@asynccontextmanager
async def open_service(
    url: str, *, silence_seconds: float = RESPONSE_TIMEOUT_SECONDS, connections: int = MAX_CONNECTIONS
) -> AsyncGenerator[ServiceClient]:
    """Give a client of the service at `url`, with any path of it before the paths asked for.

    `silence_seconds` bounds each wait for the service. Beyond so many connections, requests wait for one.
    """
    service = ServiceClient(url, silence_seconds=silence_seconds, connections=connections)
    try:
        yield service
    finally:
        service.close()


def _lines_of(headers: Mapping[str, str]) -> bytes:
    """Return the header lines. Raises ValueError if one would be no line, or is not made of ASCII."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if not lines.count("\r") == lines.count("\n") == len(headers) or "\0" in lines:
        raise ValueError("a header that is not one line")
    return lines.encode("ascii")


async def _waited_for(body: AsyncIterable[bytes], silence: Silence) -> AsyncIterator[bytes]:
    """Yield the body's pieces: silence is not the service's while the body's source is slow."""
    silence.hold()
    async for piece in body:
        if piece:  # an empty one would be the mark of the end
            silence.heard()
            yield piece
            silence.hold()
    silence.heard()
