"""The limits of a gateway, opened together; and the middleware that counts client addresses."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Self

from redis.asyncio import Redis
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.limits.addresses import ClientAddresses
from gateway.limits.counters import SharedCounters
from gateway.limits.rates import SharedRate
from gateway.limits.settings import LimitSettings, parse_rate
from gateway.limits.streams import CLIENT_ADDRESS, CountedStream, StreamLimits
from service_kit.problems import ProblemError, problem_response
from service_kit.requests import ANSWER_HEADERS, request_id_of

UNLIMITED_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""What an operator's own programs ask for, often from one address."""

_FINAL_SECONDS = 1.0
_LOOK_SECONDS = 1.0
"""How often a Redis that did not answer is asked again."""


class Guard:
    """Counts what users and addresses ask for."""

    def __init__(self, redis: Redis, settings: LimitSettings) -> None:
        self._counters = SharedCounters(redis)
        self._sync_seconds = settings.rate_limit_sync_ms / 1000
        self._addresses = ClientAddresses(settings.trusted_proxies)
        self._of_users = self._rate("user", settings.rate_limit_user, settings)
        self._of_addresses = self._rate("address", settings.rate_limit_address, settings)
        self._streams = StreamLimits(redis, settings)

    @classmethod
    @asynccontextmanager
    async def open(cls, redis: Redis, settings: LimitSettings) -> AsyncGenerator[Self]:
        """Report counts and renew streams in the background while the block runs."""
        guard = cls(redis, settings)
        tasks = [asyncio.create_task(guard._report_forever()), asyncio.create_task(guard._streams.keep())]
        try:
            yield guard
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            with suppress(TimeoutError):
                async with asyncio.timeout(_FINAL_SECONDS):
                    await guard._report()

    async def take_address(self, scope: Scope) -> None:
        """Count a request of its client's address. Raises RateLimitedError and LimitsUnavailableError."""
        address = scope[CLIENT_ADDRESS] = self._addresses.of(scope)
        if self._of_addresses is not None and address is not None:
            await self._of_addresses.take(address)

    async def take_user(self, scope: Scope, user_id: str) -> None:
        """Count a request of a verified user; its answer will tell what is left.

        Raises RateLimitedError and LimitsUnavailableError.
        """
        if self._of_users is not None:
            left = await self._of_users.take(user_id)
            scope["state"][ANSWER_HEADERS] = ((b"ratelimit-policy", self._of_users.policy), (b"ratelimit", left))

    def counted(self, user_id: str, response: Response) -> Response:
        """Return the response as one that counts as a stream."""
        return CountedStream(self._streams, user_id, response)

    def _rate(self, name: str, text: str, settings: LimitSettings) -> SharedRate | None:
        rate = parse_rate(text)
        if rate is None:
            return None
        return SharedRate(name, rate, self._counters, fail=settings.rate_limit_fail, keys=settings.rate_limit_keys)

    async def _report_forever(self) -> None:
        while True:
            soon = min(self._sync_seconds, _LOOK_SECONDS)
            await asyncio.sleep(soon if self._counters.are_down else self._sync_seconds)
            await self._report()

    async def _report(self) -> None:
        if self._counters.are_down:
            await self._counters.look()
        for rate in (self._of_users, self._of_addresses):
            if rate is not None:
                await rate.report()


class AddressLimitMiddleware:
    """Counts requests by client address before anything is known of their user: refused tokens as well."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request of an address that is within its limit."""
        if scope["type"] == "http" and scope["path"] not in UNLIMITED_PATHS:
            guard: Guard = scope["app"].state.resources.guard
            try:
                await guard.take_address(scope)
            except ProblemError as error:
                refusal = problem_response(
                    error.status,
                    error.code,
                    error.detail,
                    request_id=request_id_of(scope),
                    headers=error.headers,
                )
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)
