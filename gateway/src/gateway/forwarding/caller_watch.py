"""Watching for what ends an exchange from outside: a caller that goes, a service that stays silent."""

import asyncio

from starlette.requests import ClientDisconnect

from gateway.forwarding.body import RequestBody
from service_kit.http_exchange import Exchange

WATCH_AFTER_SECONDS = 0.1
"""Age at which an exchange is worth a task that waits for its caller's going; most are over by then."""


class CallerWatch:
    """Fails the exchange when its caller goes, and with TimeoutError when its answer does not begin in time.

    The time counts from the last of the body that the service could have: how slow callers may be, the edge bounds.
    """

    __slots__ = ("_begun_at", "_body", "_exchange", "_loop", "_silence", "_timer", "_watching")

    def __init__(self, exchange: Exchange, body: RequestBody, silence_seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._exchange = exchange
        self._body = body
        self._begun_at = self._loop.time()
        self._silence = silence_seconds
        self._watching: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(min(WATCH_AFTER_SECONDS, silence_seconds), self._look)

    def begin(self) -> None:
        """Watch for the caller alone, now that the answer has begun."""
        self._timer.cancel()
        self._body.leave()
        self._watch_caller()

    def close(self) -> None:
        """Watch no more."""
        self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        deadline = max(self._begun_at, self._body.came_at) + self._silence
        if now >= deadline:
            self._exchange.fail(TimeoutError())
            return
        self._watch_caller()
        self._timer = self._loop.call_at(min(deadline, now + self._silence), self._look)

    def _watch_caller(self) -> None:
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        await self._body.wait_for_disconnect()
        self._exchange.fail(ClientDisconnect())
