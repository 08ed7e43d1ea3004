"""The hub: the one pub/sub connection of a process, shared by all its readers.

It reconnects by itself, subscribes again to the channels in use, and tells their readers to read the log again, because
what was published in between is lost to them. Frames are handed over as they come: no task, queue or timeout per frame.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import structlog
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from chat_service.relay.wire import Wire

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 2.0
CONFIRMATION_SECONDS = 2.0
PING_SECONDS = 5.0
FIRST_BACKOFF_SECONDS = 0.05
LONGEST_BACKOFF_SECONDS = 2.0

Send = Callable[..., None]


class Listener(Protocol):
    """Who hears a channel. Its methods are called from the event loop and must neither block nor raise."""

    def deliver(self, frame: bytes) -> None:
        """Take a message."""
        ...

    def flush(self) -> None:
        """Take notice that all messages that came at once have been delivered."""
        ...

    def resync(self) -> None:
        """Take notice that messages may have been missed up to now."""
        ...


class _Channel:
    """The listeners of one channel, and whether the server has confirmed its subscription."""

    def __init__(self) -> None:
        self.listeners: set[Listener] = set()
        self.confirmed = asyncio.Event()


class Hub:
    """Keeps the connection between `start` and `aclose`."""

    def __init__(self, redis_url: str, *, ping_seconds: float = PING_SECONDS) -> None:
        # RESP2: in RESP3, redis-py formats every push message for a debug log. No socket timeout: a quiet
        # connection is fine, and pings find a dead one.
        self._pool = ConnectionPool.from_url(
            redis_url, protocol=2, socket_timeout=None, socket_connect_timeout=CONNECT_SECONDS
        )
        self._ping_seconds = ping_seconds
        self._channels: dict[bytes, _Channel] = {}
        self._unconfirmed: Counter[bytes] = Counter()
        self._delivered: set[Listener] = set()
        self._send: Send = _send_nothing
        self._task: asyncio.Task[None] | None = None
        self.connected = False

    def start(self) -> None:
        """Begin to connect, and keep at it."""
        self._task = asyncio.create_task(self._run(), name="relay-hub")

    async def aclose(self) -> None:
        """Close the connection."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._pool.aclose()

    async def subscribe(self, name: str, listener: Listener) -> None:
        """Add the listener and wait until the server has confirmed the channel.

        While Redis is away this does not wait: the listener hears `resync` when the subscription comes about.
        """
        key = name.encode()
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = _Channel()
            if self.connected:
                self._request_subscription(key, channel)
        channel.listeners.add(listener)
        if self.connected and not channel.confirmed.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONFIRMATION_SECONDS):
                    await channel.confirmed.wait()

    def unsubscribe(self, name: str, listener: Listener) -> None:
        """Remove the listener; the last one of a channel ends its subscription."""
        key = name.encode()
        channel = self._channels.get(key)
        if channel is None:
            return
        channel.listeners.discard(listener)
        if not channel.listeners:
            del self._channels[key]
            if self.connected:
                self._send(b"UNSUBSCRIBE", key)

    @property
    def channel_count(self) -> int:
        """Channels in use."""
        return len(self._channels)

    def tell(self, name: str, message: bytes) -> None:
        """Let this process's own listeners hear a message, whether Redis is there or not."""
        self._hear(name.encode(), message)
        self._flush()

    def _request_subscription(self, key: bytes, channel: _Channel) -> None:
        channel.confirmed.clear()
        self._unconfirmed[key] += 1
        self._send(b"SUBSCRIBE", key)

    async def _run(self) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            connection: AbstractConnection = self._pool.make_connection()
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await connection.connect()
                backoff = FIRST_BACKOFF_SECONDS
                await self._converse(connection)
            except (RedisError, OSError) as error:
                log.warning("relay_hub_disconnected", error=type(error).__name__, retry_in_seconds=backoff)
            except Exception:
                # A dead hub would leave all readers to their polling: log it as what it is, and go on.
                log.exception("relay_hub_failed", retry_in_seconds=backoff)
            finally:
                self._lose_connection()
                await connection.disconnect(nowait=True)
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - spreads reconnections
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)

    async def _converse(self, connection: AbstractConnection) -> None:
        """Serve one connection until it breaks; raises what broke it."""
        wire = Wire(self._hear, self._confirm, self._flush)
        # Connecting, TLS, authentication and the choice of the database are redis-py's; it has no public way to hear
        # what comes afterwards at less than 12 µs a message.
        transport: asyncio.Transport = connection._writer.transport  # type: ignore[attr-defined]
        transport.set_protocol(wire)

        def send(*command: bytes) -> None:
            if not transport.is_closing():
                transport.writelines(connection.pack_command(*command))

        self._send = send
        self.connected = True
        for key, channel in self._channels.items():
            self._request_subscription(key, channel)
        log.info("relay_hub_connected", channels=len(self._channels))
        while True:
            await asyncio.wait((wire.lost,), timeout=self._ping_seconds)
            if wire.lost.done():
                raise wire.lost.result()
            if asyncio.get_running_loop().time() - wire.heard_at > 2.5 * self._ping_seconds:
                raise RedisConnectionError("no answer to pings")
            send(b"PING")

    def _lose_connection(self) -> None:
        self.connected = False
        self._send = _send_nothing
        self._unconfirmed.clear()
        for channel in self._channels.values():
            channel.confirmed.set()  # nobody waits for a dead connection
            for listener in channel.listeners:
                listener.resync()

    def _hear(self, name: bytes, message: bytes) -> None:
        channel = self._channels.get(name)
        if channel is not None:
            for listener in channel.listeners:
                listener.deliver(message)
                self._delivered.add(listener)

    def _flush(self) -> None:
        for listener in self._delivered:
            listener.flush()
        self._delivered.clear()

    def _confirm(self, name: bytes) -> None:
        # A confirmation may belong to an earlier subscription that was ended in between: only the last one counts.
        self._unconfirmed[name] -= 1
        if self._unconfirmed[name] > 0:
            return
        del self._unconfirmed[name]
        channel = self._channels.get(name)
        if channel is not None:
            channel.confirmed.set()
            for listener in channel.listeners:
                listener.resync()


def _send_nothing(*command: bytes) -> None:
    """Stand in for sending while there is no connection: channels in use are subscribed when there is one."""
