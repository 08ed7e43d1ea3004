"""The services inside, and the tokens by which the gateway acts for a user there."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from contracts.principal import MAX_TOKEN_SECONDS, Service
from gateway.cache import ExpiringCache
from gateway.forwarding.connection import IDLE_CONNECTION_SECONDS, ConnectionPool, Exchange
from gateway.forwarding.targets import Target
from gateway.settings import Settings
from service_kit.http import CONNECT_TIMEOUT_SECONDS
from service_kit.internal_tokens import TokenSigner

TOKEN_REUSE_SECONDS = MAX_TOKEN_SECONDS - 20
"""How long a signed token is used again: it arrives with at least 20 s to live."""

TOKEN_CACHE_ENTRIES = 10_000
_AUTOMATIC_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Upstreams:
    """One pool of connections to all services, and others for what may be an event stream.

    The first is aiohttp's own client: a gateway's work is little else than this call, and httpx on top of the same
    transport halves the number of requests that one process can forward. Streams have connections of ours, which pass
    each piece on in the callback that brings it.
    """

    def __init__(self, session: aiohttp.ClientSession, settings: Settings) -> None:
        self._session = session
        self._signer = TokenSigner("gateway", settings.signing_key)
        self._tokens: ExpiringCache[tuple[str, Target], str] = ExpiringCache(TOKEN_CACHE_ENTRIES)
        self._bases: Mapping[Service, str] = {
            "chat-service": str(settings.chat_url).rstrip("/"),
            "history-service": str(settings.history_url).rstrip("/"),
            "task-tools": str(settings.tools_url).rstrip("/"),
        }
        self._answering = aiohttp.ClientTimeout(
            total=None, connect=CONNECT_TIMEOUT_SECONDS, sock_read=settings.upstream_response_seconds
        )
        self._stream_silence = settings.stream_idle_seconds
        self._pools: Mapping[Service, ConnectionPool] = {
            service: ConnectionPool(base, settings.upstream_connections) for service, base in self._bases.items()
        }

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncGenerator[Self]:
        """Open the pool; connections are made when needed and closed at the end."""
        connector = aiohttp.TCPConnector(
            limit=settings.upstream_connections, keepalive_timeout=IDLE_CONNECTION_SECONDS, ttl_dns_cache=10
        )
        async with aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_AUTOMATIC_HEADERS,
            trust_env=False,
        ) as session:
            upstreams = cls(session, settings)
            try:
                yield upstreams
            finally:
                for pool in upstreams._pools.values():
                    pool.close()

    def token_for(self, user_id: str, target: Target) -> str:
        """Return a token with the target's one scope; signed anew only when the last one is about to end."""
        now = time.monotonic()
        token = self._tokens.get((user_id, target), now)
        if token is None:
            token = self._signer.sign(target.service, (target.scope,), user_id=user_id)
            self._tokens.put((user_id, target), token, now + TOKEN_REUSE_SECONDS)
        return token

    async def request(
        self,
        target: Target,
        method: str,
        path_and_query: str,
        headers: CIMultiDict[str],
        body: bytes | AsyncIterator[bytes],
    ) -> aiohttp.ClientResponse:
        """Send a request and return the head of its answer; the caller closes it. `path_and_query` is sent as it is.

        Raises aiohttp.ClientError and TimeoutError.
        """
        return await self._session.request(
            method,
            URL(self._bases[target.service] + path_and_query, encoded=True),
            headers=headers,
            data=body or None,
            allow_redirects=False,
            timeout=self._answering,
        )

    async def stream(
        self,
        target: Target,
        method: str,
        path_and_query: str,
        headers: CIMultiDict[str],
        body: bytes | AsyncIterator[bytes],
    ) -> Exchange:
        """Do what `request` does for an answer that may be an event stream.

        Raises UnreachableError, BrokenAnswerError and TimeoutError, and what `body` raises.
        """
        exchange = await self._pools[target.service].begin()
        try:
            async with asyncio.timeout(self._stream_silence):
                await exchange.send(method, path_and_query, headers, body)
        except BaseException:
            exchange.close()
            raise
        return exchange

    async def ping(self, service: Service) -> None:
        """Ask a service whether it is alive. Raises if it does not say so."""
        url = self._bases[service] + "/healthz"
        async with self._session.get(url, allow_redirects=False, raise_for_status=True):
            pass
