"""Transactions on a real Postgres: what ends them, and in which state their connection goes back to the pool."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import suppress

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from launcher.sql import connected
from service_kit.database import Database, open_database
from service_kit.database_problems import DATABASE_ERRORS, OutcomeUnknownError, is_unavailable
from service_kit.database_settings import DatabaseSettings
from service_kit.statements import Statement
from tests.support.postgres import ROLE
from tests.support.servers import eventually

INSERT = Statement(text("INSERT INTO notes (id) VALUES (1)"))
SELECT = Statement(text("SELECT id FROM notes"))
SLEEP = Statement(text("SELECT pg_sleep(60)"))
WHO = Statement(text("SELECT current_setting('app.user_id', true)"))
PID = Statement(text("SELECT pg_backend_pid()"))


@pytest.fixture
async def settings(database_url: str) -> DatabaseSettings:
    async with connected(database_url) as connection:
        await connection.execute("CREATE TABLE notes (id int PRIMARY KEY)")
    return DatabaseSettings(
        database_url=SecretStr(database_url),
        database_pool_size=1,
        database_pool_timeout_seconds=0.3,
        database_wake_seconds=30.0,
    )


@pytest.fixture
async def database(settings: DatabaseSettings) -> AsyncGenerator[Database]:
    async with open_database(settings) as opened:
        yield opened


async def notes(database: Database) -> list[int]:
    async with database.transaction(ROLE) as transaction:
        return [row["id"] for row in await transaction.rows(SELECT)]


async def transact(database: Database, *statements: Statement) -> None:
    async with database.transaction(ROLE) as transaction:
        for statement in statements:
            await transaction.rows(statement)


async def states(admin_database_url: str) -> str:
    ours = "datname = current_database() AND usename = 'threadkeep'"
    async with connected(admin_database_url) as connection:
        return str(await connection.fetchval(f"SELECT string_agg(state, ',') FROM pg_stat_activity WHERE {ours}"))  # noqa: S608


async def test_a_transaction_cancelled_in_a_statement_leaves_nothing(
    database: Database, admin_database_url: str
) -> None:
    inserted = asyncio.Event()

    async def insert_and_sleep() -> None:
        async with database.transaction(ROLE, "ann") as transaction:
            await transaction.execute(INSERT)
            inserted.set()
            await transaction.rows(SLEEP)

    task = asyncio.create_task(insert_and_sleep())
    await inserted.wait()

    async def sleeps() -> bool:
        return await states(admin_database_url) == "active"

    await eventually(sleeps, what="the statement runs")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.transaction(ROLE) as transaction:
        assert await transaction.rows(SELECT) == []
        assert await transaction.value(WHO) == ""
    assert await states(admin_database_url) == "idle", "and the server does not go on with it"


async def test_a_statement_that_takes_too_long_is_ended(settings: DatabaseSettings, admin_database_url: str) -> None:
    async with open_database(settings.model_copy(update={"database_command_timeout_seconds": 0.2})) as database:
        with pytest.raises(TimeoutError):
            await transact(database, INSERT, SLEEP)
        assert await notes(database) == []
        assert await states(admin_database_url) == "idle"


async def test_what_a_swallowed_failure_has_undone_is_not_taken_for_committed(database: Database) -> None:
    async def insert_twice() -> None:
        async with database.transaction(ROLE) as transaction:
            await transaction.execute(INSERT)
            with suppress(asyncpg.UniqueViolationError):
                await transaction.execute(INSERT)

    with pytest.raises(RuntimeError, match="a statement had failed"):
        await insert_twice()
    assert await notes(database) == []


async def test_an_error_rolls_back_and_keeps_the_connection(database: Database) -> None:
    async with database.transaction(ROLE) as transaction:
        before = await transaction.value(PID)
    with pytest.raises(asyncpg.UniqueViolationError):
        await transact(database, INSERT, INSERT)
    async with database.transaction(ROLE) as transaction:
        assert await transaction.value(PID) == before
    assert await notes(database) == []


async def test_an_exhausted_pool_is_not_waited_for_as_a_sleeping_database_is(database: Database) -> None:
    async with database.transaction(ROLE):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await notes(database)
        assert time.monotonic() - began < 5
    assert await notes(database) == []


async def test_a_backend_ended_in_a_transaction_is_not_taken_for_committed(
    database: Database, admin_database_url: str
) -> None:
    async def insert_and_lose_the_backend() -> None:
        async with database.transaction(ROLE) as transaction:
            await transaction.execute(INSERT)
            pid = await transaction.value(PID)
            async with connected(admin_database_url) as connection:
                await connection.execute(f"SELECT pg_terminate_backend({pid}, 10000)")

    with pytest.raises((OutcomeUnknownError, *DATABASE_ERRORS)) as error:
        await insert_and_lose_the_backend()
    assert isinstance(error.value, OutcomeUnknownError) or is_unavailable(error.value)
    assert await notes(database) == []


async def test_a_connection_lost_before_the_commit_is_known_to_have_done_nothing(
    database: Database, admin_database_url: str
) -> None:
    async def insert_and_notice_the_loss() -> None:
        async with database.transaction(ROLE) as transaction:
            await transaction.execute(INSERT)
            pid = await transaction.value(PID)
            async with connected(admin_database_url) as connection:
                await connection.execute(f"SELECT pg_terminate_backend({pid}, 10000)")
            await eventually(lambda: database.pool.get_size() == 0, what="the end of the connection arrives")

    with pytest.raises(DATABASE_ERRORS) as error:
        await insert_and_notice_the_loss()
    assert is_unavailable(error.value)
    assert await notes(database) == []


async def test_a_server_that_refuses_to_commit_has_said_so(database: Database, admin_database_url: str) -> None:
    """Its outcome is known; so a caller is not told to look."""
    deferred = "ALTER TABLE notes ADD COLUMN other int REFERENCES notes DEFERRABLE INITIALLY DEFERRED"
    async with connected(admin_database_url) as connection:
        await connection.execute(deferred)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await transact(database, Statement(text("INSERT INTO notes (id, other) VALUES (1, 2)")))
    assert await notes(database) == []


async def test_a_migration_under_a_cached_statement_costs_one_retry(
    database: Database, admin_database_url: str
) -> None:
    assert await notes(database) == []
    async with connected(admin_database_url) as connection:
        await connection.execute("ALTER TABLE notes ALTER COLUMN id TYPE bigint")
    with pytest.raises(asyncpg.InvalidCachedStatementError) as error:
        await notes(database)
    assert is_unavailable(error.value)
    assert await notes(database) == []
