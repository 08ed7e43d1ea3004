"""The databases that are measured: one server, one database for each number of messages, kept for the next time."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from history_service.migrate import migrate
from launcher.embedded_postgres import EmbeddedPostgres, ensure_role, running_postgres
from service_kit.database_settings import DatabaseSettings
from tests.bench.console import say
from tests.bench.history.acts import WRITER, WRITER_CONVERSATIONS
from tests.bench.history.dataset import Dataset
from tests.bench.history.loading import connection_to, load

ROLE = "threadkeep"
PASSWORD = "bench"
CONTENT_VERSION = 1

_CLEAR_WRITER = f"""
    DELETE FROM history.runs WHERE conversation_id IN (SELECT id FROM history.conversations WHERE user_id = '{WRITER}');
    DELETE FROM history.conversations WHERE user_id = '{WRITER}';
"""  # noqa: S608 - a name of ours
_NEW_WRITER = f"""
    INSERT INTO history.conversations (id, user_id, status, metadata, last_position, created_at, updated_at)
    SELECT 'thr_bench_' || c, '{WRITER}', '{{"type":"active"}}', '{{}}', 16, now(), now()
    FROM generate_series(0, {WRITER_CONVERSATIONS - 1}) AS c;
    INSERT INTO history.messages (conversation_id, id, user_id, position, turn, role, kind, content, tool_calls,
        payload, hidden, created_at)
    SELECT 'thr_bench_' || c, 'msg_' || p, '{WRITER}', p, p, 'user', 'user_message', repeat('some words ', 20), '[]',
        json_build_object('id', 'msg_' || p), false, now()
    FROM generate_series(0, {WRITER_CONVERSATIONS - 1}) AS c, generate_series(1, 16) AS p;
    INSERT INTO history.runs (id, conversation_id, user_id, message_position)
    SELECT 'run_bench_' || c, 'thr_bench_' || c, '{WRITER}', 16
    FROM generate_series(0, {WRITER_CONVERSATIONS - 1}) AS c;
"""  # noqa: S608 - a name of ours
_REQUEUE = f"""
    UPDATE history.runs SET status = 'queued', attempt = 0, lease_expires_at = NULL, started_at = NULL
    WHERE user_id = '{WRITER}' AND conversation_id LIKE 'thr_bench_%';
    VACUUM history.runs;
"""  # noqa: S608 - a name of ours


@dataclass(frozen=True)
class BenchDatabase:
    """A filled database."""

    dataset: Dataset
    url: str
    superuser_url: str
    load: str

    async def clear(self) -> None:
        """Remove what a measurement has written."""
        async with connection_to(self.superuser_url) as connection:
            await connection.execute(_CLEAR_WRITER)

    async def prepare(self) -> None:
        """Give the writer conversations and queued runs."""
        await self.clear()
        async with connection_to(self.superuser_url) as connection:
            await connection.execute(_NEW_WRITER)
            await connection.execute("ANALYZE history.conversations; ANALYZE history.runs")

    async def requeue(self) -> None:
        """Let the writer's runs be claimed anew, and no dead rows of theirs stay in the way."""
        async with connection_to(self.superuser_url) as connection:
            for statement in _REQUEUE.split(";")[:2]:
                await connection.execute(statement)


@asynccontextmanager
async def bench_databases(folder: Path, sizes: list[int]) -> AsyncGenerator[list[BenchDatabase]]:
    """Start the server and give a database for each size; one that is there already is used as it is."""
    async with running_postgres(folder / "postgres", superuser_password=PASSWORD) as server:
        async with connection_to(server.url()) as connection:
            await ensure_role(connection, ROLE, PASSWORD)
        databases = [await _database(server, Dataset(messages)) for messages in sizes]
        for database in databases:
            await database.prepare()
        yield databases
        for database in databases:
            await database.clear()


async def _database(server: EmbeddedPostgres, dataset: Dataset) -> BenchDatabase:
    name = f"history_{dataset.messages}"
    url, superuser_url = server.url(name, ROLE, PASSWORD), server.url(name)
    async with connection_to(server.url()) as connection:
        told = await connection.fetchval(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1", name
        )
        mark = f"{CONTENT_VERSION}: "
        if told is None or not told.startswith(mark):
            say(f"loading {dataset.messages:,} messages in {dataset.conversations:,} conversations")
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            await connection.execute(f'CREATE DATABASE "{name}" OWNER "{ROLE}"')
            await migrate(DatabaseSettings(database_url=SecretStr(url)))
            took = await load(superuser_url, dataset)
            told = f"{mark}rows {took.rows:.0f} s, indexes {took.indexes:.0f} s, vacuum {took.vacuum:.0f} s"
            await connection.execute(f"COMMENT ON DATABASE \"{name}\" IS '{told}'")
        else:
            await migrate(DatabaseSettings(database_url=SecretStr(url)))
    return BenchDatabase(dataset, url, superuser_url, told.removeprefix(mark))
