"""The chat-service on real sockets, over the real history-service, Postgres and Valkey."""

from collections.abc import AsyncGenerator

import pytest
from pydantic import SecretStr

from history_service.migrate import migrate
from service_kit.database_settings import DatabaseSettings
from tests.integration.chat_service.system import System, running_system
from tests.support.postgres import PostgresServer


async def _migrate(url: str) -> None:
    await migrate(DatabaseSettings(database_url=SecretStr(url)))


@pytest.fixture
async def database_url(postgres: PostgresServer) -> AsyncGenerator[str]:
    """A migrated database."""
    template = await postgres.template("history", _migrate)
    url = await postgres.create_database(template)
    yield url
    await postgres.drop_database(url)


@pytest.fixture
async def system(database_url: str, redis_url: str) -> AsyncGenerator[System]:
    """Both services, a signed-in user and a worker played by the test."""
    async with running_system(database_url, redis_url) as system:
        yield system
