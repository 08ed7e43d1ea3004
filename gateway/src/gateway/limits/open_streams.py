"""The sets of open streams that all gateways share: in Redis, with a lease for each stream."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from redis.asyncio import Redis

_KEYS_AT_ONCE = 200

# Members are streams, scores the times at which they stop counting: in ms, by Redis' own clock, so that gateways
# need not agree on theirs.
_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = tonumber(ARGV[1])
"""

_OPEN = (
    _NOW
    + """
local limits = #KEYS
for i, key in ipairs(KEYS) do
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    for j = 3 + limits, #ARGV do
        redis.call('ZREM', key, ARGV[j])
    end
    if redis.call('ZCARD', key) >= tonumber(ARGV[2 + i]) then
        return i
    end
end
for _, key in ipairs(KEYS) do
    redis.call('ZADD', key, now + lease, ARGV[2])
    redis.call('PEXPIRE', key, lease)
end
return 0
"""
)
"""KEYS: sets; ARGV: lease (ms), stream, the limit of each set, streams that have ended. Returns the full set, or 0."""

_RENEW = (
    _NOW
    + """
local at = 2
for _, key in ipairs(KEYS) do
    local ended = at + 1 + tonumber(ARGV[at])
    for i = at + 1, ended - 1 do
        redis.call('ZADD', key, now + lease, ARGV[i])
    end
    at = ended + 1 + tonumber(ARGV[ended])
    for i = ended + 1, at - 1 do
        redis.call('ZREM', key, ARGV[i])
    end
    redis.call('PEXPIRE', key, lease)
end
"""
)
"""KEYS: sets; ARGV: lease (ms), then for each set the number of streams that go on, these, the number of those that
have ended, and these."""

StreamSet = tuple[str, Sequence[bytes], Sequence[bytes]]
"""A key, its streams that go on, and those that have ended."""


class OpenStreams:
    """Adds streams to sets, and keeps them there. Raises redis' errors."""

    def __init__(self, redis: Redis, lease_seconds: float) -> None:
        self._open = cast("Any", redis).register_script(_OPEN)
        self._renew = cast("Any", redis).register_script(_RENEW)
        self._lease_ms = int(lease_seconds * 1000)

    async def add(self, stream: bytes, limits: Sequence[tuple[str, int]], ended: Iterable[bytes]) -> str | None:
        """Add a stream to all sets, or return the key of the first that is full. `ended` ones are taken out before."""
        arguments = [self._lease_ms, stream, *(limit for _, limit in limits), *ended]
        full: int = await self._open([key for key, _ in limits], arguments)
        return limits[full - 1][0] if full else None

    async def renew(self, sets: Sequence[StreamSet]) -> None:
        """Let streams count for another lease, take out those that have ended."""
        for start in range(0, len(sets), _KEYS_AT_ONCE):
            part = sets[start : start + _KEYS_AT_ONCE]
            arguments: list[int | bytes] = [self._lease_ms]
            for _, going_on, ended in part:
                arguments += [len(going_on), *going_on, len(ended), *ended]
            await self._renew([key for key, _, _ in part], arguments)
