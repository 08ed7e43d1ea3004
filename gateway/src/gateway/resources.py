"""What the gateway holds while it runs."""

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.forwarding.upstreams import Upstreams
from gateway.identity.jwks import JwksKeys
from gateway.identity.keys import SharedSecret, TokenKeys
from gateway.identity.session_revocations import SessionRevocations
from gateway.identity.sessions import ChatKitSessions
from gateway.identity.tokens import PublicTokenVerifier
from gateway.limits.guard import Guard
from gateway.settings import Settings
from service_kit.http import create_http_client
from service_kit.redis_connections import notice_resets

REDIS_CONNECT_SECONDS = 0.5
REDIS_ANSWER_SECONDS = 1.0
REDIS_RETRIES = 1
REDIS_CONNECTIONS = 64
REDIS_HEALTH_CHECK_SECONDS = 30


@asynccontextmanager
async def open_redis(url: str) -> AsyncGenerator[Redis]:
    """Open the client of Redis, which answers bytes. Connections are made when needed: Redis may be away.

    All gateways share it, and nothing that it holds is needed to serve.
    """
    # One retry, for connections that a restart has left stale; more would hold requests up while Redis is away.
    # A blocking pool: the plain one answers a burst of requests with errors.
    pool = BlockingConnectionPool.from_url(
        url,
        socket_connect_timeout=REDIS_CONNECT_SECONDS,
        socket_timeout=REDIS_ANSWER_SECONDS,
        retry=Retry(NoBackoff(), REDIS_RETRIES),
        health_check_interval=REDIS_HEALTH_CHECK_SECONDS,
        max_connections=REDIS_CONNECTIONS,
        timeout=REDIS_ANSWER_SECONDS,
    )
    notice_resets(pool)
    redis = Redis.from_pool(pool)
    try:
        yield redis
    finally:
        await redis.aclose()


@asynccontextmanager
async def open_token_keys(settings: Settings) -> AsyncGenerator[TokenKeys]:
    """Open the keys of public tokens. Fetching begins at once, and the gateway does not wait for it."""
    if settings.jwt_algorithm == "HS256" and settings.better_auth_secret is not None:
        yield SharedSecret(settings.better_auth_secret.get_secret_value())
        return
    async with create_http_client("") as client:
        keys = JwksKeys(
            client,
            settings.key_set_url,
            settings.jwt_algorithm,
            floor_seconds=settings.jwks_refresh_floor_seconds,
            max_age_seconds=settings.jwks_max_age_seconds,
            fetch_seconds=settings.jwks_fetch_seconds,
        )
        keys.refresh()
        try:
            yield keys
        finally:
            await keys.close()


def _longest_session(settings: Settings) -> int:
    """Return for how many seconds a session may be accepted after it was made."""
    return settings.chatkit_session_seconds + math.ceil(settings.jwt_leeway_seconds) + 1


@dataclass(frozen=True)
class Resources:
    """Opened once, closed when the gateway stops."""

    settings: Settings
    verifier: PublicTokenVerifier
    sessions: ChatKitSessions
    upstreams: Upstreams
    guard: Guard

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncGenerator[Self]:
        """Open everything; nothing outside has to be up for it."""
        async with (
            open_token_keys(settings) as keys,
            Upstreams.open(settings) as upstreams,
            open_redis(settings.redis_url) as redis,
            Guard.open(redis, settings) as guard,
        ):
            sessions = ChatKitSessions(settings, SessionRevocations(redis, _longest_session(settings)))
            yield cls(settings, PublicTokenVerifier(keys, settings), sessions, upstreams, guard)
