"""The services inside, and the tokens by which the gateway acts for a user there."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Self

from contracts.principal import MAX_TOKEN_SECONDS, Service
from gateway.cache import ExpiringCache
from gateway.forwarding.targets import Target
from gateway.settings import Settings
from service_kit.http import RESPONSE_TIMEOUT_SECONDS
from service_kit.http_connections import ConnectionPool
from service_kit.http_exchange import BrokenAnswerError
from service_kit.internal_tokens import TokenSigner

TOKEN_REUSE_SECONDS = MAX_TOKEN_SECONDS - 20
"""How long a signed token is used again: it arrives with at least 20 s to live."""

TOKEN_CACHE_ENTRIES = 10_000


class Upstreams:
    """The connections to each service. Streams have their own, so that however many leave room for the others."""

    def __init__(self, settings: Settings) -> None:
        self._signer = TokenSigner("gateway", settings.signing_key)
        self._tokens: ExpiringCache[tuple[str, Target, str | None], tuple[float, str]]
        self._tokens = ExpiringCache(TOKEN_CACHE_ENTRIES)
        bases: Mapping[Service, str] = {
            "chat-service": str(settings.chat_url),
            "history-service": str(settings.history_url),
            "task-tools": str(settings.tools_url),
        }
        self._pools = {
            (service, streams): ConnectionPool(base, settings.upstream_connections)
            for service, base in bases.items()
            for streams in (False, True)
        }

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncGenerator[Self]:
        """Open the pools; connections are made when needed and closed at the end."""
        upstreams = cls(settings)
        try:
            yield upstreams
        finally:
            for pool in upstreams._pools.values():
                pool.close()

    def pool_of(self, target: Target) -> ConnectionPool:
        """Return the connections over which a target is asked."""
        return self._pools[target.service, target.streams]

    def token_for(self, user_id: str, target: Target, thread_id: str | None = None) -> str:
        """Return a token with the target's one scope; signed anew only when the last one is about to end.

        With a thread, the token allows nothing outside it.
        """
        now = time.time()
        acting = (user_id, target, thread_id)
        known = self._tokens.get(acting, now)
        if known is None or now < known[0]:  # set back, the clock would make it one of the future
            token = self._signer.sign(target.service, (target.scope,), user_id=user_id, thread_id=thread_id)
            known = now, token
            self._tokens.put(acting, known, now + TOKEN_REUSE_SECONDS)
        return known[1]

    async def ping(self, service: Service) -> None:
        """Ask a service whether it is alive, on a connection for this alone. Raises if it does not say so."""
        pool = self._pools[service, False]
        exchange = await pool.begin(fresh=True)
        try:
            async with asyncio.timeout(RESPONSE_TIMEOUT_SECONDS):
                await exchange.send("GET", pool.target("/healthz"), b"Connection: close\r\n", b"")
        finally:
            exchange.close()
        if exchange.status != 200:
            raise BrokenAnswerError(f"status {exchange.status}")
