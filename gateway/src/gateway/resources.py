"""What the gateway holds while it runs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from gateway.forwarding.upstreams import Upstreams
from gateway.identity.jwks import JwksKeys
from gateway.identity.keys import SharedSecret, TokenKeys
from gateway.identity.tokens import PublicTokenVerifier
from gateway.settings import Settings
from service_kit.http import create_http_client


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
        )
        keys.refresh()
        try:
            yield keys
        finally:
            await keys.close()


@dataclass(frozen=True)
class Resources:
    """Opened once, closed when the gateway stops."""

    settings: Settings
    verifier: PublicTokenVerifier
    upstreams: Upstreams

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncGenerator[Self]:
        """Open everything; nothing outside has to be up for it."""
        async with open_token_keys(settings) as keys, Upstreams.open(settings) as upstreams:
            yield cls(settings, PublicTokenVerifier(keys, settings), upstreams)
