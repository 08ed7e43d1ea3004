"""Real databases for all tests: started when the first test asks, one server per session."""

import os
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
import structlog

from tests.support.postgres import PostgresServer, postgres_server
from tests.support.valkey import ValkeyServer, valkey_server

# As the services log: without local variables, whose rendering can take seconds.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the tests' options."""
    parser.addoption("--fuzz-cases", type=int, default=10, help="generated requests per operation of the API")
    parser.addoption("--relay-machines", type=int, default=30, help="generated lives of a run and its readers")


def _external(name: str) -> str | None:
    return os.environ.get(name) or None  # noqa: TID251 - the tests' own settings


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[PostgresServer]:
    """The server: TEST_DATABASE_URL (of a superuser) if set, else an embedded one."""
    data_dir = tmp_path_factory.mktemp("postgres") / "data"
    async with postgres_server(data_dir, _external("TEST_DATABASE_URL")) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[ValkeyServer]:
    """The server: TEST_REDIS_URL if set, else an embedded one."""
    async with valkey_server(tmp_path_factory.mktemp("valkey"), _external("TEST_REDIS_URL")) as server:
        yield server


@pytest.fixture
async def database_url(postgres: PostgresServer) -> AsyncGenerator[str]:
    """A fresh empty database, owned by the ordinary role that connects to it."""
    url = await postgres.create_database()
    yield url
    await postgres.drop_database(url)


@pytest.fixture
def admin_database_url(postgres: PostgresServer, database_url: str) -> str:
    """The same database as `database_url`, for the superuser, whom row-level security does not bind."""
    return postgres.superuser(database_url)


@pytest.fixture
async def redis_url(valkey: ValkeyServer) -> str:
    """An emptied database of the session's Valkey."""
    return await valkey.empty_database()
