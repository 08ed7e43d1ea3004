"""Results of tool calls are kept for as long as a run may ask for them, and no longer."""

from datetime import timedelta

import asyncpg
import pytest
from pydantic import SecretStr

from launcher.sql import connected
from service_kit.database import open_database
from service_kit.sweeper import Sweeper
from task_tools.services.retention import retention_jobs
from task_tools.settings import Settings
from task_tools.storage.calls import delete_old_calls
from task_tools.tables import RETENTION_ROLE
from tests.integration.task_tools.conftest import Issuers
from tests.integration.task_tools.mcp_client import connect
from tests.support.sql import rows_of


async def test_old_calls_of_everybody_go_and_younger_ones_stay(
    base_url: str, issuers: Issuers, database_url: str, admin_database_url: str
) -> None:
    async with connect(base_url) as tools:
        for user in ("ann", "bob"):
            for key in ("run_1:old", "run_1:new"):
                await tools.call(issuers.run_token(user), "add_task", key, title=key)
    settings = Settings(database_url=SecretStr(database_url))
    age = timedelta(seconds=settings.tool_call_retention_seconds)
    async with connected(admin_database_url) as admin, open_database(settings) as database:
        update = "UPDATE tasks.tool_calls SET created_at = now() - $1::interval WHERE key = $2"
        await admin.execute(update, age + timedelta(seconds=60), "run_1:old")
        await admin.execute(update, age - timedelta(seconds=60), "run_1:new")
        await Sweeper(retention_jobs(settings, database), 60).sweep()
        left = await rows_of(admin_database_url, "SELECT user_id, key FROM tasks.tool_calls ORDER BY user_id")
        assert left == [{"user_id": name, "key": "run_1:new"} for name in ("ann", "bob")]
        assert await admin.fetchval("SELECT count(*) FROM tasks.tasks") == 4
        async with database.transaction(RETENTION_ROLE) as transaction:
            assert await delete_old_calls(transaction, timedelta(0), 1) == 1, "a batch is bounded"


@pytest.mark.parametrize("seen", ["result FROM tasks.tool_calls", "title FROM tasks.tasks"])
async def test_who_deletes_old_calls_cannot_read_them(base_url: str, database_url: str, seen: str) -> None:
    async with connected(database_url) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"SET ROLE {RETENTION_ROLE}; SELECT {seen}")
