"""Wake-ups on their way from Redis to a worker's claims."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.redis_keys import RUNS_READY

log = structlog.get_logger(__name__)


class Wakes:
    """Takes wake-ups off the list that workers share, the oldest first, and no more than the worker can use now.

    Without Redis, or if a wake-up was lost, polling finds the runs.
    """

    def __init__(self, redis: Redis, *, poll_seconds: float) -> None:
        self._redis = redis
        self._poll_seconds = poll_seconds
        self._taken: deque[str] = deque()
        self._most = 0
        self._is_wanted = asyncio.Event()
        self._has_news = asyncio.Event()
        self._polls = False
        self._is_stopping = False

    def poll(self) -> None:
        """Let a poll follow at once, whether or not there is a wake-up."""
        self._polls = True
        self._has_news.set()

    async def next(self, most: int) -> list[str]:
        """Wait until it is time to claim; returns the runs that wake-ups named, at most `most`, or none for a poll."""
        if not (self._taken or self._polls):
            self._most = most
            self._is_wanted.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._has_news.wait()
            self._is_wanted.clear()
        self._has_news.clear()
        if not self._taken:
            self._polls = False
        return [self._taken.popleft() for _ in range(min(most, len(self._taken)))]

    async def listen(self) -> None:
        """Take what is wanted, until stopped."""
        while not self._is_stopping:
            await self._is_wanted.wait()
            try:
                popped = cast(
                    "tuple[bytes, list[bytes]] | None",
                    await self._redis.blmpop(self._poll_seconds, 1, RUNS_READY, direction="RIGHT", count=self._most),
                )
            except RedisError as error:
                log.warning("wake_up_read_failed", error=type(error).__name__)
                await asyncio.sleep(self._poll_seconds)
                continue
            if popped is not None:
                self._is_wanted.clear()
                self._taken.extend(run_id.decode() for run_id in popped[1])
                self._has_news.set()

    def stop(self) -> None:
        """End `listen`, besides cancelling it: redis-py can swallow a cancellation that meets a blocking read's end."""
        self._is_stopping = True
