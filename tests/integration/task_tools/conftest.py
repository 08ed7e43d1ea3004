"""task-tools on a real database, behind a real socket, with the keys of those who may call it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import httpx
import pytest

from contracts.principal import RUNS_ITEMS, TASKS, TrustedIssuer
from service_kit.database_settings import DatabaseSettings
from service_kit.internal_tokens import TokenSigner, generate_signing_key
from task_tools.app import create_app
from task_tools.migrate import migrate
from task_tools.settings import Settings
from tests.support.postgres import PostgresServer
from tests.support.servers import serve


async def _migrate(url: str) -> None:
    await migrate(DatabaseSettings(database_url=url))  # pyright: ignore[reportArgumentType] - pydantic makes it secret


@pytest.fixture
async def database_url(postgres: PostgresServer) -> AsyncGenerator[str]:
    template = await postgres.template("tasks", _migrate)
    url = await postgres.create_database(template)
    yield url
    await postgres.drop_database(url)


@dataclass
class Issuers:
    """Signs as the services that task-tools trusts, and as one that it does not know."""

    gateway_keys: tuple[str, str] = field(default_factory=generate_signing_key)
    history_keys: tuple[str, str] = field(default_factory=generate_signing_key)
    stranger_keys: tuple[str, str] = field(default_factory=generate_signing_key)

    def trust(self) -> dict[str, TrustedIssuer]:
        return {
            "gateway": TrustedIssuer(public_key=self.gateway_keys[1], scopes=frozenset({TASKS})),
            "history-service": TrustedIssuer(public_key=self.history_keys[1], scopes=frozenset({TASKS, RUNS_ITEMS})),
        }

    def gateway_token(self, user_id: str, *, audience: str = "task-tools", scope: str = TASKS) -> str:
        return TokenSigner("gateway", self.gateway_keys[0]).sign(audience, (scope,), user_id=user_id)

    def run_token(
        self,
        user_id: str | None,
        run_id: str = "run_1",
        *,
        audience: tuple[str, ...] = ("history-service", "task-tools"),
        scopes: tuple[str, ...] = (RUNS_ITEMS, TASKS),
    ) -> str:
        signer = TokenSigner("history-service", self.history_keys[0])
        return signer.sign(audience, scopes, user_id=user_id, run_id=run_id)

    def forged_token(self, user_id: str) -> str:
        return TokenSigner("history-service", self.stranger_keys[0]).sign("task-tools", (TASKS,), user_id=user_id)


@pytest.fixture
def issuers() -> Issuers:
    return Issuers()


@pytest.fixture
def settings(database_url: str, issuers: Issuers) -> Settings:
    return Settings.model_validate({"database_url": database_url, "internal_trust": issuers.trust()})


@pytest.fixture
async def base_url(settings: Settings) -> AsyncGenerator[str]:
    async with serve(create_app(settings)) as url:
        yield url


def client_of(base_url: str, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=base_url, headers={"Authorization": f"Bearer {token}"}, timeout=10)


@pytest.fixture
async def ann(base_url: str, issuers: Issuers) -> AsyncGenerator[httpx.AsyncClient]:
    async with client_of(base_url, issuers.gateway_token("ann")) as client:
        yield client


@pytest.fixture
async def bob(base_url: str, issuers: Issuers) -> AsyncGenerator[httpx.AsyncClient]:
    async with client_of(base_url, issuers.gateway_token("bob")) as client:
        yield client
