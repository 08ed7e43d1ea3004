"""The hub: the one pub/sub connection of a process, shared by all its readers.

It reconnects by itself, subscribes again to the channels in use, and tells their readers to read the log again, because
what was published in between is lost to them. Frames are handed over as they come: no task, queue or timeout per frame.
"""

import asyncio
import contextlib
import math
import random
from collections import Counter
from typing import Protocol, cast

import structlog
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 2.0
CONFIRMATION_SECONDS = 2.0
PING_SECONDS = 5.0
FIRST_BACKOFF_SECONDS = 0.05
LONGEST_BACKOFF_SECONDS = 2.0

Command = tuple[bytes, ...]


class Listener(Protocol):
    """Who hears a channel. Both methods are called from the connection's task and must not block."""

    def deliver(self, frame: bytes) -> None:
        """Take a message."""
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
        self._outbox: list[Command] = []
        self._outbox_filled = asyncio.Event()
        self._heard_at = 0.0
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

    def _request_subscription(self, key: bytes, channel: _Channel) -> None:
        channel.confirmed.clear()
        self._unconfirmed[key] += 1
        self._send(b"SUBSCRIBE", key)

    def _send(self, *command: bytes) -> None:
        self._outbox.append(command)
        self._outbox_filled.set()

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
        self.connected = True
        self._heard_at = asyncio.get_running_loop().time()
        for key, channel in self._channels.items():
            self._request_subscription(key, channel)
        log.info("relay_hub_connected", channels=len(self._channels))
        halves = [asyncio.create_task(self._read(connection)), asyncio.create_task(self._write(connection))]
        try:
            done, _ = await asyncio.wait(halves, return_when=asyncio.FIRST_EXCEPTION)
            for half in done:
                half.result()
        finally:
            for half in halves:
                half.cancel()
            await asyncio.gather(*halves, return_exceptions=True)

    def _lose_connection(self) -> None:
        self.connected = False
        self._outbox.clear()
        self._unconfirmed.clear()
        for channel in self._channels.values():
            channel.confirmed.set()  # nobody waits for a dead connection
            for listener in channel.listeners:
                listener.resync()

    async def _read(self, connection: AbstractConnection) -> None:
        loop_time = asyncio.get_running_loop().time
        channels = self._channels
        while True:
            reply = cast("object", await connection.read_response(timeout=math.inf, disconnect_on_error=False))
            self._heard_at = loop_time()
            if not isinstance(reply, list):
                continue  # PONG, while nothing is subscribed
            push = cast("list[bytes]", reply)
            if push[0] == b"message":
                channel = channels.get(push[1])
                if channel is not None:
                    for listener in channel.listeners:
                        listener.deliver(push[2])
            elif push[0] == b"subscribe":
                self._confirm(push[1])

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

    async def _write(self, connection: AbstractConnection) -> None:
        """Send what is asked for, and a ping after each silence; a peer that does not answer is given up."""
        while True:
            try:
                async with asyncio.timeout(self._ping_seconds):
                    await self._outbox_filled.wait()
            except TimeoutError:
                self._outbox.append((b"PING",))
            if asyncio.get_running_loop().time() - self._heard_at > 2.5 * self._ping_seconds:
                raise RedisConnectionError("no answer to pings")
            self._outbox_filled.clear()
            commands, self._outbox = self._outbox, []
            await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
