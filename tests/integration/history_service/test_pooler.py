"""Several processes behind a real PgBouncer in transaction mode: their transactions take turns on few connections."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from contracts.ids import new_id
from history_client import HistoryForbiddenError, HistoryUnavailableError, UserHistory, WorkerHistoryClient
from launcher.sql import connected
from service_kit.service_client import ServiceClient
from tests.integration.history_service.conftest import signer
from tests.integration.history_service.programs import log_of, running_programs, users_of
from tests.support.history import claim_one, run_create, user_message
from tests.support.pgbouncer import SERVER_POOL, PgBouncer, running_pgbouncer
from tests.support.postgres import PostgresServer

PROCESSES = 3
USERS = 20
WRITERS = 3
ITEMS = 14
"""Of each writer; a user's writers share one conversation."""


REMNANTS = "SELECT current_user = session_user, coalesce(current_setting('app.user_id', true), '')"


@pytest.fixture
async def pooler(postgres: PostgresServer, database_url: str, tmp_path: Path) -> AsyncGenerator[PgBouncer]:
    async with running_pgbouncer(tmp_path / "pgbouncer", database_url) as running:
        yield running


@dataclass
class Crowd:
    """Many users at once, each by way of all processes; every answer is checked against who asked."""

    processes: list[ServiceClient]
    conversations: dict[str, str] = field(default_factory=dict[str, str])
    operations: int = 0

    def user(self, user_id: str, turn: int) -> UserHistory:
        self.operations += 1
        return users_of(self.processes[turn % len(self.processes)], user_id)

    async def arrive(self, user_id: str, turn: int) -> None:
        """Open the user's conversation with a first message and a run."""
        conversation_id = new_id("thr")
        run = run_create(conversation_id, f"{user_id}: first", new=True)
        created = await self.user(user_id, turn).create_run(conversation_id, run)
        assert (created.run.user_id, created.item) == (user_id, run.item)
        self.conversations[user_id] = conversation_id

    async def write(self, user_id: str, writer: int) -> None:
        """Append, and read everything back by way of another process, among all the others."""
        mine, foreign = self.conversations[user_id], [c for u, c in self.conversations.items() if u != user_id]
        for number in range(ITEMS):
            turn = writer + number
            item = user_message(mine, f"{user_id}: {writer}/{number}", new_id("msg"))
            assert await self.user(user_id, turn).put_item(mine, item["id"], item) == item
            newest = await self.user(user_id, turn + 1).list_items(mine, order="desc", limit=WRITERS)
            assert item in newest.data
            assert {one["content"][0]["text"].partition(":")[0] for one in newest.data} == {user_id}
            listed = await self.user(user_id, turn + 2).list_conversations()
            assert [(one.id, one.user_id) for one in listed.data] == [(mine, user_id)]
            with pytest.raises(HistoryForbiddenError):
                await self.user(user_id, turn).get_conversation(foreign[turn % len(foreign)])

    async def claim_all(self, process: int) -> set[str]:
        """Claim runs, as a worker does, until there is none left; returns whose they were."""
        worker = WorkerHistoryClient(self.processes[process], signer("agent-worker"))
        users = set[str]()
        while (claim := await claim_one(worker, f"worker-{process}")) is not None:
            self.operations += 1
            user_id = claim.run.user_id
            assert user_id not in users
            assert {message.content.partition(":")[0] for message in claim.context} == {user_id}
            users.add(user_id)
        return users

    async def check(self, user_id: str) -> None:
        """Nothing lost, nothing twice, nobody else's, and no gap."""
        found = await log_of(self.user(user_id, 0), self.conversations[user_id])
        wanted = {f"{user_id}: {writer}/{number}" for writer in range(WRITERS) for number in range(ITEMS)}
        assert [position for position, _, _ in found] == list(range(1, len(wanted) + 2))
        assert {text for _, _, text in found} == wanted | {f"{user_id}: first"}


async def test_values_are_right_behind_a_transaction_pooler(
    pooler: PgBouncer, database_url: str, admin_database_url: str, tmp_path: Path
) -> None:
    users = [f"user-{number}" for number in range(USERS)]
    async with running_programs(PROCESSES, pooler.url(database_url), tmp_path, DATABASE_POOLER="on") as processes:
        crowd = Crowd(processes)
        await asyncio.gather(*(crowd.arrive(user, turn) for turn, user in enumerate(users)))
        async with asyncio.TaskGroup() as together:
            claims = [together.create_task(crowd.claim_all(process)) for process in range(PROCESSES)]
            for user in users:
                for writer in range(WRITERS):
                    together.create_task(crowd.write(user, writer))
        assert sorted(user for claimed in claims for user in claimed.result()) == sorted(users)
        async with asyncio.TaskGroup() as together:
            for user in users:
                together.create_task(crowd.check(user))
        connections = await server_connections(admin_database_url)
        assert await remnants(pooler.url(database_url)) == {(True, "")}
    assert crowd.operations > 3 * USERS * WRITERS * ITEMS
    assert 1 < connections <= SERVER_POOL, "the transactions of all processes have shared connections"


async def test_the_crowd_notices_prepared_statements_that_are_kept(
    pooler: PgBouncer, database_url: str, tmp_path: Path
) -> None:
    """The same without the setting: otherwise the test above would show nothing."""
    users = [f"user-{number}" for number in range(USERS)]
    async with running_programs(PROCESSES, pooler.url(database_url), tmp_path, DATABASE_POOLER="off") as processes:
        crowd = Crowd(processes)
        arrivals = [crowd.arrive(user, turn) for turn, user in enumerate(users)]
        answers = await asyncio.gather(*arrivals, return_exceptions=True)
    assert [answer for answer in answers if isinstance(answer, HistoryUnavailableError)]


async def test_migrations_work_through_a_transaction_pooler_in_parallel(
    pooler: PgBouncer, postgres: PostgresServer
) -> None:
    """Without a direct host beside it, as Neon has one, they hold their lock and their transaction all the same."""
    url = await postgres.create_database()
    command = (sys.executable, "-m", "history_service.migrate")
    env = {"DATABASE_URL": pooler.url(url), "DATABASE_POOLER": "on"}
    pipe = asyncio.subprocess.PIPE
    programs = [
        await asyncio.create_subprocess_exec(*command, env=env, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
        for _ in range(PROCESSES)
    ]
    outputs = [await program.communicate() for program in programs]
    assert [program.returncode for program in programs] == [0] * len(programs), outputs
    async with connected(url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM history.alembic_version") == 1
    await postgres.drop_database(url)


async def remnants(url: str) -> set[tuple[bool, str]]:
    """Tell what transactions have left on the server's connections: the role that they assumed, and the user."""
    found = set[tuple[bool, str]]()
    async with asyncpg.create_pool(url, min_size=SERVER_POOL, max_size=SERVER_POOL, statement_cache_size=0) as pool:
        connections: list[Any] = [await pool.acquire() for _ in range(SERVER_POOL)]
        for connection in connections:
            # A transaction on each, at once: so each has another of the server's connections.
            await connection.execute("BEGIN")
        for connection in connections:
            found.add(tuple(await connection.fetchrow(REMNANTS)))
            await connection.execute("ROLLBACK")
            await pool.release(connection)
    return found


async def server_connections(admin_database_url: str) -> int:
    """Count the connections to the test's database, without this one."""
    others = "pid <> pg_backend_pid() AND datname = current_database()"
    async with connected(admin_database_url) as connection:
        counted = await connection.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {others}")  # noqa: S608
    assert isinstance(counted, int)
    return counted
