"""What the service holds while it runs: the database, the blobs, the sweeper and what signs run tokens."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from history_service.domain import run_token_seconds
from history_service.services.retention import retention_jobs
from history_service.services.run_sweep import run_jobs
from history_service.services.run_tokens import RunTokens
from history_service.settings import Settings
from history_service.storage.blobs import BlobStore, open_blobs
from service_kit.database import Database, open_database
from service_kit.internal_tokens import TokenSigner, TokenVerifier
from service_kit.sweeper import Sweeper

SERVICE = "history-service"


@dataclass(frozen=True)
class Resources:
    """Open resources, shared by all requests."""

    settings: Settings
    database: Database
    blobs: BlobStore
    sweeper: Sweeper
    run_tokens: RunTokens


@asynccontextmanager
async def open_resources(settings: Settings, verifier: TokenVerifier) -> AsyncGenerator[Resources]:
    """Open the resources and close them at the end."""
    if settings.internal_signing_key is None:
        raise ValueError("INTERNAL_SIGNING_KEY is needed to sign run tokens")
    signer = TokenSigner(SERVICE, settings.internal_signing_key.get_secret_value())
    run_tokens = RunTokens(SERVICE, signer, verifier, run_token_seconds(settings.run_lease))
    blobs = open_blobs(settings)
    async with open_database(settings) as database:
        sweeper = Sweeper(retention_jobs(settings, database, blobs), settings.retention_interval_seconds)
        run_sweeper = Sweeper(run_jobs(settings, database), settings.run_sweep_seconds)
        async with sweeper.running(), run_sweeper.running():
            yield Resources(settings, database, blobs, sweeper, run_tokens)
