"""The real history-service on a real socket and a migrated database, and clients of it."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from openai import AsyncOpenAI
from pydantic import SecretStr

from contracts.principal import (
    ATTACHMENTS_READ,
    ATTACHMENTS_WRITE,
    CONVERSATIONS_READ,
    CONVERSATIONS_WRITE,
    RUNS_CANCEL,
    RUNS_CREATE,
    RUNS_ITEMS,
    RUNS_READ,
    RUNS_WATCH,
    RUNS_WORK,
    TASKS,
    USERS_DELETE,
    USERS_EXPORT,
    TrustedIssuer,
)
from history_client import HistoryClient, UserHistory, WorkerHistoryClient
from history_service.app import create_app
from history_service.migrate import migrate
from history_service.settings import Settings
from service_kit.database_settings import DatabaseSettings
from service_kit.http import create_http_client
from service_kit.internal_tokens import TokenSigner, generate_signing_key
from service_kit.service_client import ServiceClient, open_service
from tests.support.openai_clients import openai_client
from tests.support.postgres import PostgresServer
from tests.support.servers import serve

DATA = {ATTACHMENTS_READ, ATTACHMENTS_WRITE, USERS_EXPORT, USERS_DELETE}
SCOPES = {
    "chat-service": {CONVERSATIONS_READ, CONVERSATIONS_WRITE, RUNS_CREATE, RUNS_READ, RUNS_CANCEL, RUNS_WATCH} | DATA,
    "agent-worker": {RUNS_WORK},
    "history-service": {RUNS_ITEMS, TASKS},
}
KEYS = {issuer: generate_signing_key() for issuer in SCOPES}
TRUST = {
    issuer: TrustedIssuer(public_key=KEYS[issuer][1], scopes=frozenset(scopes)) for issuer, scopes in SCOPES.items()
}


def signer(issuer: str) -> TokenSigner:
    return TokenSigner(issuer, KEYS[issuer][0])


async def migrate_url(url: str) -> None:
    await migrate(DatabaseSettings(database_url=SecretStr(url)))


@pytest.fixture
async def database_url(postgres: PostgresServer) -> AsyncGenerator[str]:
    """A migrated database of its own for each test."""
    url = await postgres.create_database(await postgres.template("history", migrate_url))
    yield url
    await postgres.drop_database(url)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        database_url=SecretStr(database_url),
        internal_signing_key=SecretStr(KEYS["history-service"][0]),
        internal_trust=TRUST,
        context_messages=3,
        max_body_bytes=64 * 1024,
        max_attachment_bytes=1024 * 1024,
        run_sweep_seconds=3600,
        blob_url=(tmp_path / "attachments").as_uri(),
    )


@dataclass(frozen=True)
class History:
    """The running service, and who may ask it."""

    service: ServiceClient
    http: httpx.AsyncClient
    """For what no client of ours would ask."""

    def user(self, user_id: str = "alice") -> UserHistory:
        return HistoryClient(self.service, signer("chat-service")).as_user(user_id, request_id="test-request")

    @property
    def worker(self) -> WorkerHistoryClient:
        return WorkerHistoryClient(self.service, signer("agent-worker"))


@asynccontextmanager
async def history_at(url: str) -> AsyncGenerator[History]:
    async with open_service(url) as service, create_http_client(url) as http:
        yield History(service, http)


@pytest.fixture
async def history(settings: Settings) -> AsyncGenerator[History]:
    async with serve(create_app(settings)) as url, history_at(url) as history:
        yield history


@pytest.fixture
def alice(history: History) -> UserHistory:
    return history.user("alice")


@pytest.fixture
def bob(history: History) -> UserHistory:
    return history.user("bob")


@pytest.fixture
def worker(history: History) -> WorkerHistoryClient:
    return history.worker


def openai_as(history: History, user_id: str) -> AbstractAsyncContextManager[AsyncOpenAI]:
    return openai_client(str(history.http.base_url), signer("chat-service"), user_id)


@pytest.fixture
async def alice_openai(history: History) -> AsyncGenerator[AsyncOpenAI]:
    async with openai_as(history, "alice") as client:
        yield client


@pytest.fixture
async def bob_openai(history: History) -> AsyncGenerator[AsyncOpenAI]:
    async with openai_as(history, "bob") as client:
        yield client
