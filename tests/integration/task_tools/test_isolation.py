"""The database keeps users apart by itself, and its migrations run in parallel and again."""

import asyncio

import pytest
from asyncpg.exceptions import InsufficientPrivilegeError
from sqlalchemy import text

from launcher.sql import connected
from service_kit.database import open_database
from service_kit.database_settings import DatabaseSettings
from service_kit.statements import Statement
from task_tools.migrate import migrate
from task_tools.settings import Settings
from task_tools.storage.calls import CallResult, CallStore
from task_tools.storage.tasks import TaskStore
from task_tools.tables import USER_ROLE
from tests.support.postgres import PostgresServer

EVERY_TASK = Statement(text("SELECT * FROM tasks.tasks"))


async def test_row_level_security_holds_without_the_owner_predicate(settings: Settings) -> None:
    async with open_database(settings) as database:
        async with database.transaction(USER_ROLE, "ann") as transaction:
            task = await TaskStore(transaction, "ann").create("private", None)
        async with database.transaction(USER_ROLE, "bob") as transaction:
            assert await transaction.rows(EVERY_TASK) == []
            assert await transaction.execute(Statement(text("UPDATE tasks.tasks SET title = 'x'"))) == 0
            assert await TaskStore(transaction, "bob").is_foreign(task.id)
        async with database.transaction(USER_ROLE) as transaction:
            assert await transaction.rows(EVERY_TASK) == []


async def test_statements_name_the_owner_where_row_level_security_does_not_hold(admin_database_url: str) -> None:
    settings = DatabaseSettings.model_validate({"database_url": admin_database_url})
    async with open_database(settings) as database, database.transaction("none") as transaction:
        ann, bob = TaskStore(transaction, "ann"), TaskStore(transaction, "bob")
        task = await ann.create("private", None)
        assert await bob.get(task.id) is None
        assert await bob.titled("private", limit=5) == []
        assert await bob.list(None, limit=5, order="desc", after=None) == []
        assert await bob.update(task.id, {"title": "taken"}) is None
        assert await bob.delete(task.id) is None
        assert await ann.get(task.id) == task
        assert await CallStore(transaction, "ann").reserve("key", "add_task", "digest")
        await CallStore(transaction, "bob").record("key", CallResult("changed"))
        assert (await CallStore(transaction, "ann").get("key")).result.text == ""
        with pytest.raises(LookupError):
            await CallStore(transaction, "bob").get("key")


async def test_nobody_writes_rows_for_somebody_else(settings: Settings) -> None:
    async with open_database(settings) as database:
        with pytest.raises(Exception, match="row-level security"):
            async with database.transaction(USER_ROLE, "bob") as transaction:
                await TaskStore(transaction, "ann").create("planted", None)


@pytest.mark.parametrize("table", ["tasks", "tool_calls"])
async def test_the_login_role_itself_sees_nothing(settings: Settings, database_url: str, table: str) -> None:
    async with open_database(settings) as database, database.transaction(USER_ROLE, "ann") as transaction:
        await TaskStore(transaction, "ann").create("private", None)
    async with connected(database_url) as connection:
        await connection.execute("SELECT set_config('app.user_id', 'ann', false)")
        try:
            assert await connection.fetchval(f"SELECT count(*) FROM tasks.{table}") == 0  # noqa: S608 - a constant
        except InsufficientPrivilegeError:
            return


async def test_migrations_run_in_parallel_and_again(postgres: PostgresServer) -> None:
    url = await postgres.create_database()
    try:
        settings = DatabaseSettings.model_validate({"database_url": url})
        await asyncio.gather(*(migrate(settings) for _ in range(4)))
        await migrate(settings)
        async with connected(url) as connection:
            assert await connection.fetchval("SELECT version_num FROM tasks.alembic_version") == "0002"
    finally:
        await postgres.drop_database(url)
