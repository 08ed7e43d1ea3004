"""The counts that all gateways share: kept in Redis by the library `limits`."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog
from limits import RateLimitItem
from limits.aio.storage import RedisStorage
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.redis_keys import RATE_LIMIT_PREFIX

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 0.5
"""How long a request waits for Redis: a slow Redis must not make a slow gateway."""


class SharedCounters:
    """Adds to counts, and knows whether that is possible. While it is not, nobody waits to find out."""

    def __init__(self, redis: Redis) -> None:
        self._storage = RedisStorage(
            "redis://",
            implementation="redispy",
            key_prefix=RATE_LIMIT_PREFIX,
            connection_pool=redis.connection_pool,  # pyright: ignore[reportArgumentType] - passed on as it is
        )
        self._redis = redis
        self.are_down = False

    async def add(self, rate: RateLimitItem, count: int, *key: str) -> int | None:
        """Add to the count of a window and return its sum; None, at once from the second time on, if Redis is away."""
        total: int | None = None
        async with self._noticing():
            total = await self._storage.incr(rate.key_for(*key), rate.get_expiry(), count)
        return total

    async def look(self) -> None:
        """Ask whether Redis answers."""
        async with self._noticing():
            # The storage's own `check` would swallow a cancellation.
            await self._redis.ping()

    @asynccontextmanager
    async def _noticing(self) -> AsyncGenerator[None]:
        """Note whether the exchange within succeeds; its failure ends here."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                yield
        except (RedisError, OSError, TimeoutError) as error:
            if not self.are_down:
                log.warning("shared_limits_lost", error=type(error).__name__)
            self.are_down = True
        else:
            if self.are_down:
                log.info("shared_limits_back")
            self.are_down = False
