"""Connections to a service, for one exchange after the other, and the pool of them."""

import asyncio
from contextlib import suppress
from typing import cast
from urllib.parse import urlsplit

from service_kit.http import CONNECT_TIMEOUT_SECONDS
from service_kit.http_exchange import BrokenAnswerError, Exchange, UnreachableError

IDLE_CONNECTION_SECONDS = 30
"""How long an idle connection is kept at least; shorter than the services keep theirs."""


class Connection(asyncio.Protocol):
    """One connection, for one exchange after the other. An `exchange.Line`."""

    __slots__ = ("_exchange", "_pool", "_reading", "_transport", "_used", "_writable", "host", "idle_since")

    def __init__(self, pool: "ConnectionPool") -> None:
        self.host = pool.host
        self.idle_since = 0.0
        self._pool = pool
        self._exchange: Exchange | None = None
        self._reading = True
        self._used = False
        self._writable: asyncio.Event | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not begun to end."""
        return not self._transport.is_closing()

    def begin(self, loop: asyncio.AbstractEventLoop) -> Exchange:
        """Begin an exchange; the one before was closed."""
        exchange = self._exchange = Exchange(self, loop, is_first=not self._used)
        self._used = True
        return exchange

    def release(self, *, reusable: bool) -> None:
        """Wait for another exchange, or end."""
        self._exchange = None
        if not (reusable and self.is_open):
            self.abort()
            return
        self.resume_reading()
        self._pool.keep(self)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._transport.write(data)

    async def drain(self) -> None:
        """Wait while the service takes no more."""
        if self._writable is not None:
            await self._writable.wait()

    def pause_reading(self) -> None:
        """Read no more for now."""
        if self._reading and self.is_open:
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

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the exchange; without one, there is nothing that they could mean."""
        if self._exchange is None:
            self._transport.abort()
        else:
            self._exchange.feed(data)

    def pause_writing(self) -> None:
        """Hold `drain`: the service is slow."""
        self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        """Let `drain` go."""
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Break what is incomplete."""
        self.resume_writing()
        self._pool.forget(self)
        if self._exchange is not None:
            self._exchange.fail(BrokenAnswerError(type(exc).__name__))

    def abort(self) -> None:
        """End at once, and make room for another connection."""
        self._transport.abort()
        self._pool.forget(self)


class ConnectionPool:
    """The connections to one service. Those that are idle are used again, the newest first."""

    def __init__(self, url: str, limit: int) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc.rpartition("@")[2].encode("ascii")
        self.open: set[Connection] = set()
        self._secure = parts.scheme == "https"
        self._address = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._path = parts.path.rstrip("/").encode("ascii")
        self._limit = limit
        self._awaited = 0
        """Connections that are being made."""
        self._idle: list[Connection] = []
        self._loop = asyncio.get_running_loop()
        self._sweeping: asyncio.TimerHandle | None = None
        self._is_closed = False

    def target(self, path: str) -> bytes:
        """Return the request target of a path of the service. Both are made of ASCII."""
        return self._path + path.encode("ascii")

    async def begin(self, *, fresh: bool = False) -> Exchange:
        """Begin an exchange on an idle or, if there is none or it shall be `fresh`, on a new connection.

        Raises UnreachableError.
        """
        while self._idle and not fresh:
            connection = self._idle.pop()
            if connection.is_open:
                return connection.begin(self._loop)
            self.forget(connection)
        if self._is_closed:
            raise UnreachableError("closed")
        if len(self.open) + self._awaited >= self._limit:
            raise UnreachableError("too many connections")
        self._awaited += 1
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self), self._address, self._port, ssl=self._secure or None
                )
        except (OSError, TimeoutError) as error:
            raise UnreachableError(type(error).__name__) from error
        finally:
            self._awaited -= 1
        if self._is_closed or not connection.is_open:
            connection.abort()
            raise UnreachableError("closed")
        self.open.add(connection)
        return connection.begin(self._loop)

    def keep(self, connection: Connection) -> None:
        """Take an idle connection back."""
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(IDLE_CONNECTION_SECONDS, self._sweep)

    def forget(self, connection: Connection) -> None:
        """Take note that a connection has ended."""
        self.open.discard(connection)
        with suppress(ValueError):
            self._idle.remove(connection)

    def close(self) -> None:
        """End all connections, and make no more."""
        self._is_closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in list(self.open):
            connection.abort()

    def _sweep(self) -> None:
        """End what has been idle for long: one timer for all, since each of them is needed again soon as a rule."""
        oldest = self._loop.time() - IDLE_CONNECTION_SECONDS
        for connection in self._idle.copy():
            if connection.idle_since <= oldest:
                connection.abort()
        self._sweeping = self._loop.call_later(IDLE_CONNECTION_SECONDS, self._sweep) if self._idle else None
