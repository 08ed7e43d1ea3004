"""What the service holds while it runs: the database engine and the signer of run tokens."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from history_service.settings import Settings
from service_kit.database import create_engine
from service_kit.internal_tokens import TokenSigner

SERVICE = "history-service"


@dataclass(frozen=True)
class Resources:
    """Open resources, shared by all requests."""

    settings: Settings
    engine: AsyncEngine
    signer: TokenSigner


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncGenerator[Resources]:
    """Open the resources and close them at the end."""
    if settings.internal_signing_key is None:
        raise ValueError("INTERNAL_SIGNING_KEY is needed to sign run tokens")
    signer = TokenSigner(SERVICE, settings.internal_signing_key.get_secret_value())
    engine = create_engine(settings)
    try:
        yield Resources(settings, engine, signer)
    finally:
        await engine.dispose()
