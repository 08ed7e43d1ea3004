"""How many streams a user and an address hold open, over all gateways together."""

import asyncio
import os
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import count

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contracts.redis_keys import open_streams_key
from gateway.errors import LimitsUnavailableError, TooManyStreamsError
from gateway.limits.counters import ANSWER_SECONDS
from gateway.limits.open_streams import OpenStreams, StreamSet
from gateway.limits.settings import LimitSettings

log = structlog.get_logger(__name__)

CLIENT_ADDRESS = "client_address"
"""Where a scope holds what its client's address is counted under."""

RETRY_SECONDS = 1.0
"""How long nobody waits for a Redis that did not answer."""

PORTIONS = 8
"""A gateway lets 1/8 of a limit begin before Redis knows: the most by which each gateway but one can overshoot."""

GATHERING_SECONDS = 0.05
"""How long what begins and ends is gathered before Redis is told."""

TELL_SECONDS = 2.0
"""How long renewing all streams may take."""

_RETRY = {"Retry-After": "5"}
_FAILURES = (RedisError, OSError, TimeoutError)


Limits = Sequence[tuple[str, int]]
"""Keys of sets, and how many streams each may hold."""


class StreamLimits:
    """Lets streams begin while there is room. What a killed gateway held stops counting after a lease."""

    def __init__(self, redis: Redis, settings: LimitSettings) -> None:
        self._limits = {"user": settings.streams_per_user, "address": settings.streams_per_address}
        self._fails_closed = settings.streams_fail == "closed"
        self._lease_seconds = settings.stream_lease_seconds
        self._shared = OpenStreams(redis, settings.stream_lease_seconds)
        self._prefix = os.urandom(8)
        self._numbers = count()
        self._held: dict[str, set[bytes]] = defaultdict(set)
        self._ended: dict[str, set[bytes]] = defaultdict(set)
        self._asking: Counter[str] = Counter()
        self._untold: set[bytes] = set()
        self._changed: set[str] = set()
        self._telling: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._down_until = 0.0

    @asynccontextmanager
    async def held(self, user_id: str, address: str | None) -> AsyncGenerator[None]:
        """Count a stream while the block runs. Raises TooManyStreamsError and LimitsUnavailableError before it.

        Waits for Redis only where this gateway holds more than a small portion of what is allowed: most requests end
        before Redis has to hear of them.
        """
        limits = [
            (open_streams_key(kind, name), self._limits[kind])
            for kind, name in (("user", user_id), ("address", address))
            if name is not None and self._limits[kind]
        ]
        if not limits:
            yield
            return
        stream = self._prefix + next(self._numbers).to_bytes(6)
        if self._may_begin_unasked(limits):
            self._untold.add(stream)
        else:
            await self._ask(stream, limits)
        for key, _ in limits:
            self._held[key].add(stream)
        try:
            if stream in self._untold:
                self._tell_soon(key for key, _ in limits)
            yield
        finally:
            self._end(stream, limits)

    def _may_begin_unasked(self, limits: Limits) -> bool:
        return not self._fails_closed and all(self._here(key) < limit // PORTIONS for key, limit in limits)

    def _here(self, key: str) -> int:
        """Return how many streams this gateway itself holds, or asks for."""
        return len(self._held.get(key, ())) + self._asking[key]

    async def _ask(self, stream: bytes, limits: Limits) -> None:
        """Let Redis decide, unless what this gateway holds is enough to refuse, or Redis is away."""
        if any(self._here(key) >= limit for key, limit in limits):
            raise TooManyStreamsError(headers=_RETRY)
        self._asking.update(key for key, _ in limits)
        try:
            is_there = self._is_back and await self._is_told_of(stream, limits)
        except TooManyStreamsError:
            raise
        except BaseException:
            self._forget(stream, limits)  # it may have been counted, or may yet be
            raise
        finally:
            self._asking.subtract(key for key, _ in limits)
            self._asking += Counter()
        if not is_there and self._fails_closed:
            raise LimitsUnavailableError(headers={"Retry-After": "1"})

    async def _is_told_of(self, stream: bytes, limits: Limits) -> bool:
        """Count a stream in Redis; False if it is away. Raises TooManyStreamsError."""
        untold = [key for key, _ in limits if not self._untold.isdisjoint(self._held.get(key, ()))]
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if untold:
                    await self._tell(untold)
                ended = {name for key, _ in limits for name in self._ended.get(key, ())}
                full = await self._shared.add(stream, limits, ended)
        except _FAILURES as error:
            self._note_failure(error)
            if self._fails_closed:
                self._forget(stream, limits)  # it does not begin, but may have been counted
            return False
        if full is not None:
            raise TooManyStreamsError(headers=_RETRY)
        return True

    def _end(self, stream: bytes, limits: Limits) -> None:
        for key, _ in limits:
            self._held[key].discard(stream)
            if not self._held[key]:
                del self._held[key]
        if stream in self._untold:
            self._untold.discard(stream)
        else:
            self._forget(stream, limits)

    def _forget(self, stream: bytes, limits: Limits) -> None:
        """Let Redis count a stream no more."""
        for key, _ in limits:
            self._ended[key].add(stream)
        self._tell_soon(key for key, _ in limits)

    @property
    def _is_back(self) -> bool:
        """Whether Redis may be asked: it has answered, or it was not asked for a while."""
        return time.monotonic() >= self._down_until

    async def keep(self) -> None:
        """Renew all streams, three times in a lease, until cancelled; then take out those that have ended."""
        try:
            while True:
                await asyncio.sleep(self._lease_seconds / 3)
                await self._tell(list(self._held.keys() | self._ended.keys()))
        finally:
            if self._telling is not None:
                self._telling.cancel()
            await self._tell(list(self._ended))

    def _tell_soon(self, keys: Iterable[str]) -> None:
        self._changed.update(keys)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_changes())

    async def _tell_changes(self) -> None:
        while self._changed:
            await asyncio.sleep(GATHERING_SECONDS)
            keys, self._changed = list(self._changed), set()
            if self._is_back:
                await self._tell([key for key in keys if key in self._held or key in self._ended])

    async def _tell(self, keys: list[str]) -> None:
        """Tell Redis of all streams of some keys that go on, and of those that have ended."""
        async with self._one_at_a_time:
            await self._tell_in_turn(keys)

    async def _tell_in_turn(self, keys: list[str]) -> None:
        sets: list[StreamSet] = [(key, list(self._held.get(key, ())), list(self._ended.get(key, ()))) for key in keys]
        for _, going_on, _ in sets:
            self._untold.difference_update(going_on)
        try:
            async with asyncio.timeout(min(self._lease_seconds / 3, TELL_SECONDS)):
                await self._shared.renew(sets)
        except _FAILURES as error:
            self._note_failure(error)
        # What has ended and could not be told is forgotten there when its lease is over.
        for key, _, ended in sets:
            self._ended[key].difference_update(ended)
            if not self._ended[key]:
                del self._ended[key]

    def _note_failure(self, error: Exception) -> None:
        log.warning("shared_streams_lost", error=type(error).__name__)
        self._down_until = time.monotonic() + RETRY_SECONDS


class CountedStream(Response):
    """A response that counts as one of its user's and its address' open streams while it is sent."""

    def __init__(self, limits: StreamLimits, user_id: str, response: Response) -> None:
        self.background = None
        self._limits = limits
        self._user_id = user_id
        self._response = response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response. Raises what it raises, and TooManyStreamsError and LimitsUnavailableError before."""
        async with self._limits.held(self._user_id, scope.get(CLIENT_ADDRESS)):
            await self._response(scope, receive, send)
