"""Requests per window: decided here, reported to the other gateways beside the requests (decision 0010)."""

import asyncio
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from limits import RateLimitItem

from gateway.errors import LimitsUnavailableError, RateLimitedError
from gateway.limits.counters import SharedCounters
from gateway.limits.settings import WhenUnshared

PORTIONS: Final = 50
"""A gateway lets 1/50 of what is left pass before the others know of it: the most by which it can overshoot."""

_REPORTED_AT_ONCE: Final = 16


class Tally:
    """One key's requests in one window. `shared` is the count of all gateways, as Redis told it last."""

    __slots__ = ("ends_at", "gathering", "key", "pending", "sending", "sent", "shared", "window")

    def __init__(self, key: str, window: int, ends_at: float) -> None:
        self.key = key
        self.window = window
        self.ends_at = ends_at
        self.shared = 0
        self.sent = 0
        """Told to Redis, which has not answered yet."""
        self.pending = 0
        """Not told to Redis yet."""
        self.gathering: asyncio.Task[int | None] | None = None
        """The report that will take what is pending."""
        self.sending: asyncio.Task[int | None] | None = None
        """The one that is under way."""

    @property
    def used(self) -> int:
        """All requests that this gateway knows of."""
        return self.shared + self.sent + self.pending


class SharedRate:
    """At most so many requests of a key in a window, over all gateways together.

    Windows follow the clock (their start differs from key to key), so that gateways agree on them without asking.
    """

    def __init__(
        self,
        name: str,
        rate: RateLimitItem,
        counters: SharedCounters,
        *,
        fail: WhenUnshared,
        keys: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._rate = rate
        self._limit = rate.amount
        self._seconds = rate.get_expiry()
        self._counters = counters
        self._fails_closed = fail == "closed"
        self._keys = keys
        self._clock = clock
        self._tallies: OrderedDict[str, Tally] = OrderedDict()
        self._unreported: set[Tally] = set()
        self._reports: set[asyncio.Task[int | None]] = set()
        self.policy = f'"{name}";q={self._limit};w={self._seconds}'.encode()
        """`RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10)."""

    def __len__(self) -> int:
        """Return how many keys it remembers."""
        return len(self._tallies)

    async def take(self, key: str) -> bytes:
        """Count a request and return its `RateLimit` field. Raises RateLimitedError and LimitsUnavailableError.

        Waits for Redis only if what this gateway has not reported could become too much.
        """
        now = self._clock()
        tally = self._tallies.get(key)
        if tally is None or not tally.ends_at - self._seconds <= now < tally.ends_at:  # the clock may be set back
            tally = self._begin(key, now)
        else:
            self._tallies.move_to_end(key)
        if self._counters.are_down and self._fails_closed:
            raise LimitsUnavailableError(headers={"Retry-After": "1"})
        left = self._limit - tally.used
        if left <= 0:
            raise self._refusal(tally, now)
        unreported = tally.sent + tally.pending
        portion = (self._limit - tally.shared) // PORTIONS
        if unreported < portion or self._counters.are_down:
            self._count(tally)
            if unreported * 2 >= portion and tally.gathering is None and not self._counters.are_down:
                self._gather(tally)
        elif not await self._is_confirmed(tally):
            raise self._refusal(tally, now)
        return b'"%s";r=%d;t=%d' % (self._name.encode(), max(0, self._limit - tally.used), tally.ends_at - now + 1)

    async def report(self) -> None:
        """Tell Redis all that it does not know. Ends early if it is away."""
        now = self._clock()
        waiting = [tally for tally in self._unreported if tally.pending and now < tally.ends_at]
        while waiting and not self._counters.are_down:
            await asyncio.gather(*(self._gather(tally) for tally in waiting[-_REPORTED_AT_ONCE:] if tally.pending))
            del waiting[-_REPORTED_AT_ONCE:]
        self._unreported = {tally for tally in self._unreported if tally.pending and now < tally.ends_at}

    def _begin(self, key: str, now: float) -> Tally:
        offset = zlib.crc32(key.encode()) % self._seconds
        window = int(now + offset) // self._seconds
        tally = self._tallies[key] = Tally(key, window, (window + 1) * self._seconds - offset)
        self._tallies.move_to_end(key)
        if len(self._tallies) > self._keys:
            self._tallies.popitem(last=False)
        return tally

    def _count(self, tally: Tally) -> None:
        if not tally.pending and len(self._unreported) < self._keys:
            self._unreported.add(tally)
        tally.pending += 1

    async def _is_confirmed(self, tally: Tally) -> bool:
        """Count a request and wait until Redis says which place in the window it has got."""
        self._count(tally)
        place = tally.pending
        before = await asyncio.shield(self._gather(tally))
        if before is not None:
            return before + place <= self._limit
        if self._fails_closed:
            raise LimitsUnavailableError(headers={"Retry-After": "1"})
        return True

    def _gather(self, tally: Tally) -> asyncio.Task[int | None]:
        """Return the report that takes what is pending."""
        if tally.gathering is None:
            tally.gathering = asyncio.create_task(self._report(tally, tally.sending))
            self._reports.add(tally.gathering)
            tally.gathering.add_done_callback(self._reports.discard)
        return tally.gathering

    async def _report(self, tally: Tally, earlier: asyncio.Task[int | None] | None) -> int | None:
        """Tell Redis, and return what it had counted before; None if it is away."""
        if earlier is not None:
            await asyncio.wait((earlier,))
        tally.sending, tally.gathering = tally.gathering, None
        count, tally.sent, tally.pending = tally.pending, tally.pending, 0
        total: int | None = None
        try:
            total = await self._counters.add(self._rate, count, self._name, tally.key, str(tally.window))
        finally:
            tally.sent = 0
            if total is None:
                tally.pending += count
                self._unreported.add(tally)
            else:
                # More than Redis says, if it has lost what it was told before.
                tally.shared = max(tally.shared + count, total)
            tally.sending = None
        return None if total is None else total - count

    def _refusal(self, tally: Tally, now: float) -> RateLimitedError:
        seconds = max(1, int(tally.ends_at - now + 1))
        return RateLimitedError(
            headers={
                "Retry-After": str(seconds),
                "RateLimit-Policy": self.policy.decode(),
                "RateLimit": f'"{self._name}";r=0;t={seconds}',
            }
        )
