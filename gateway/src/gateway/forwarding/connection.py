"""HTTP/1.1 connections (RFC 9112) to a service that streams: each piece of an answer is passed on as it is parsed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import cast
from urllib.parse import urlsplit

import httptools
from multidict import CIMultiDict

from service_kit.http import CONNECT_TIMEOUT_SECONDS

IDLE_CONNECTION_SECONDS = 30

Sink = Callable[[bytes], bool]
"""Takes a piece of a body; False asks for no more until `Exchange.resume`."""


class UnreachableError(Exception):
    """No connection could be made."""


class BrokenAnswerError(Exception):
    """The answer is no HTTP, or ended before it was complete. Where it ends, it has to say itself."""


class Exchange:
    """A request and its answer. The parser calls the `on_` methods."""

    def __init__(self, connection: "Connection") -> None:
        loop = asyncio.get_running_loop()
        self.status = 0
        self.raw_headers: list[tuple[bytes, bytes]] = []
        self._connection = connection
        self._parser = httptools.HttpResponseParser(self)
        self._begun: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._sink: Sink | None = None
        self._early: list[bytes] = []
        self._request_sent = False
        self._reusable = False

    async def send(
        self, method: str, path_and_query: str, headers: CIMultiDict[str], body: bytes | AsyncIterator[bytes]
    ) -> None:
        """Send the request and wait for the head of the answer, which may come before the request is complete.

        Raises BrokenAnswerError, and what `body` raises.
        """
        lines = [f"{method} {path_and_query} HTTP/1.1", f"Host: {self._connection.authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if isinstance(body, bytes):
            lines += [f"Content-Length: {len(body)}", "", ""]
            self._connection.write("\r\n".join(lines).encode("latin-1") + body)
            self._request_sent = True
            await self._begun
            return
        lines += ["Transfer-Encoding: chunked", "", ""]
        sending = asyncio.create_task(self._send_pieces("\r\n".join(lines).encode("latin-1"), body))
        sending.add_done_callback(self._note_sent)
        try:
            await self._begun
        finally:
            sending.cancel()
            await asyncio.wait([sending])

    async def deliver(self, sink: Sink) -> None:
        """Pass each piece of the body to the sink as it comes, until the body is complete.

        Raises BrokenAnswerError, and what `fail` was given.
        """
        self._sink = sink
        early, self._early = self._early, []
        taken = [sink(piece) for piece in early]
        if all(taken):
            self.resume()
        await self._ended

    def resume(self) -> None:
        """Go on after the sink has asked for no more."""
        self._connection.resume_reading()

    def fail(self, error: Exception) -> None:
        """End the exchange with an error."""
        for future in (self._begun, self._ended):
            if not future.done():
                future.set_exception(error)
                future.exception()  # seen: nobody may be waiting for it

    def close(self) -> None:
        """Give the connection back if the exchange is complete, else end it."""
        self._connection.release(reusable=self._reusable and self._request_sent)

    def feed(self, data: bytes) -> None:
        """Parse what came over the connection."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.fail(BrokenAnswerError(type(error).__name__))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self.raw_headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Let the request's sender know; heads before the last one (status 1xx) are nothing to pass on."""
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self.raw_headers.clear()
        elif not self._begun.done():
            self._begun.set_result(None)

    def on_body(self, piece: bytes) -> None:
        """Pass a piece on, or keep it until there is a sink: no more than what was read at once."""
        if self._sink is None:
            self._early.append(piece)
            self._connection.pause_reading()
        elif not self._sink(piece):
            self._connection.pause_reading()

    def on_message_complete(self) -> None:
        """Note the end of the body."""
        if self.status >= 200 and not self._ended.done():
            self._reusable = self._parser.should_keep_alive()
            self._ended.set_result(None)

    async def _send_pieces(self, head: bytes, body: AsyncIterator[bytes]) -> None:
        self._connection.write(head)
        async for piece in body:
            self._connection.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await self._connection.drain()
        self._connection.write(b"0\r\n\r\n")
        self._request_sent = True

    def _note_sent(self, sending: asyncio.Task[None]) -> None:
        if not sending.cancelled() and isinstance(error := sending.exception(), Exception):
            self.fail(error)


class Connection(asyncio.Protocol):
    """One connection, for one exchange after the other."""

    def __init__(self, pool: "ConnectionPool") -> None:
        self._pool = pool
        self._exchange: Exchange | None = None
        self._reading = True
        self._idle: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def authority(self) -> str:
        """The service's host and port."""
        return self._pool.authority

    @property
    def is_open(self) -> bool:
        """Whether it has not begun to end."""
        return not self._transport.is_closing()

    def begin(self) -> Exchange:
        """Begin an exchange; the one before was closed."""
        if self._idle is not None:
            self._idle.cancel()
        self._exchange = Exchange(self)
        return self._exchange

    def release(self, *, reusable: bool) -> None:
        """Wait for another exchange, or end."""
        self._exchange = None
        if not (reusable and self.is_open):
            self._transport.abort()
            return
        self.resume_reading()
        self._idle = asyncio.get_running_loop().call_later(IDLE_CONNECTION_SECONDS, self._transport.abort)
        self._pool.idle.append(self)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._transport.write(data)

    async def drain(self) -> None:
        """Wait while the service takes no more."""
        await self._writable.wait()

    def pause_reading(self) -> None:
        """Read no more for now."""
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if not self._reading and self.is_open:
            self._reading = True
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (`asyncio.Protocol`)."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has the methods, not the class
        self._pool.open.add(self)

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the exchange; without one, there is nothing that they could mean."""
        if self._exchange is None:
            self._transport.abort()
        else:
            self._exchange.feed(data)

    def pause_writing(self) -> None:
        """Hold `drain`: the service is slow."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let `drain` go."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Break what is incomplete."""
        self._writable.set()
        self._pool.forget(self)
        if self._idle is not None:
            self._idle.cancel()
        if self._exchange is not None:
            self._exchange.fail(BrokenAnswerError(type(exc).__name__))

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()


class ConnectionPool:
    """The connections to one service. Those that are idle are used again, the newest first."""

    def __init__(self, url: str, limit: int) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self.authority = parts.netloc
        self._limit = limit
        self.open: set[Connection] = set()
        self.idle: list[Connection] = []

    async def begin(self) -> Exchange:
        """Begin an exchange on an idle or a new connection. Raises UnreachableError."""
        while self.idle:
            connection = self.idle.pop()
            if connection.is_open:
                return connection.begin()
        if len(self.open) >= self._limit:
            raise UnreachableError("too many connections")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: Connection(self), self._host, self._port, ssl=self._secure or None
                )
        except (OSError, TimeoutError) as error:
            raise UnreachableError(type(error).__name__) from error
        return connection.begin()

    def forget(self, connection: Connection) -> None:
        """Take note that a connection has ended."""
        self.open.discard(connection)
        with suppress(ValueError):
            self.idle.remove(connection)

    def close(self) -> None:
        """End all connections."""
        for connection in list(self.open):
            connection.abort()
