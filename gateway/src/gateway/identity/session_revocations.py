"""Which ChatKit sessions were taken back, in Redis, for as long as one of them could still be used."""

import asyncio
import time
from typing import cast

from redis.asyncio import Redis

from contracts.redis_keys import revoked_session_key, sessions_revoked_key

ANSWER_SECONDS = 1.0
"""How long a request waits for Redis."""


class SessionRevocations:
    """Kept for `keep_seconds`, the longest life of a session. All methods raise RedisError and TimeoutError.

    Taking back all sessions compares times of making: it relies on gateways whose clocks agree.
    """

    def __init__(self, redis: Redis, keep_seconds: int) -> None:
        self._redis = redis
        self._keep_seconds = keep_seconds

    async def revoke(self, user_id: str, session_id: str) -> None:
        """Take back one session of the user's; whether there is one makes no difference."""
        await self._set(revoked_session_key(user_id, session_id), b"")

    async def revoke_all(self, user_id: str) -> None:
        """Take back all sessions of the user's that were made so far."""
        await self._set(sessions_revoked_key(user_id), repr(time.time()).encode())

    async def is_revoked(self, user_id: str, session_id: str, issued_at: float) -> bool:
        """Tell whether the session, made at `issued_at` (seconds since the epoch), was taken back."""
        keys = [revoked_session_key(user_id, session_id), sessions_revoked_key(user_id)]
        async with asyncio.timeout(ANSWER_SECONDS):
            one, all_until = cast("list[bytes | None]", await self._redis.mget(keys))
        return one is not None or (all_until is not None and issued_at <= float(all_until))

    async def _set(self, key: str, value: bytes) -> None:
        async with asyncio.timeout(ANSWER_SECONDS):
            await self._redis.set(key, value, ex=self._keep_seconds)
