"""Watching for what ends an exchange from outside: a caller that goes, a service that stays silent."""

import asyncio

from starlette.requests import ClientDisconnect

from gateway.forwarding.body import RequestBody
from service_kit.http_exchange import Exchange

WATCH_AFTER_SECONDS = 0.1
"""Age at which an exchange is worth a task that waits for its caller's going; most are over by then."""


class CallerWatch:
    """Fails the exchange when its caller goes, and with TimeoutError when its answer does not begin in time."""

    __slots__ = ("_body", "_deadline", "_exchange", "_loop", "_timer", "_watching")

    def __init__(self, exchange: Exchange, body: RequestBody, silence_seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._exchange = exchange
        self._body = body
        self._deadline = self._loop.time() + silence_seconds
        self._watching: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(min(WATCH_AFTER_SECONDS, silence_seconds), self._look)

    def begin(self) -> None:
        """Watch for the caller from now on, and no longer for the beginning of the answer."""
        self._timer.cancel()
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    def close(self) -> None:
        """Watch no more."""
        self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()

    def _look(self) -> None:
        if self._loop.time() >= self._deadline:
            self._exchange.fail(TimeoutError())
            return
        self.begin()
        self._timer = self._loop.call_at(self._deadline, self._look)

    async def _watch(self) -> None:
        await self._body.wait_for_disconnect()
        self._exchange.fail(ClientDisconnect())
