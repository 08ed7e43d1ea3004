"""Fills a migrated database fast: COPY from several processes without indexes, which are made afterwards.

It ends with the very schema that the migrations made; that is compared.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

import asyncpg

from tests.bench.console import say
from tests.bench.history.dataset import CONVERSATION_MESSAGES, MESSAGES_PER_RUN, Dataset, Message

CHUNK_BYTES = 1 << 18
BIG_TABLE = "history.messages"
_BUILD = ("SET maintenance_work_mem = '1GB'", "SET max_parallel_maintenance_workers = 2", "SET statement_timeout = 0")

_MESSAGE_COLUMNS = [
    *("conversation_id", "id", "user_id", "position", "turn", "role", "kind"),
    *("content", "tool_calls", "payload", "hidden", "created_at"),
]
_RUN_COLUMNS = [
    *("id", "conversation_id", "user_id", "message_position", "status"),
    *("attempt", "created_at", "started_at", "finished_at"),
]

_CONSTRAINTS = """
    SELECT c.conrelid::regclass::text AS relation, quote_ident(c.conname) AS name,
        pg_get_constraintdef(c.oid) AS definition, c.contype = 'f' AS foreign
    FROM pg_constraint AS c
    WHERE c.contype IN ('p', 'u', 'f')
        AND $1::text::regclass IN (c.conrelid, c.confrelid)
    ORDER BY c.contype = 'f', c.conname
"""
_INDEXES = """
    SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
    FROM pg_index AS i
    WHERE i.indrelid = $1::text::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
    ORDER BY 1
"""
_SCHEMA = """
    SELECT c.conrelid::regclass::text || ' ' || c.conname || ' ' || pg_get_constraintdef(c.oid) || ' ' || c.convalidated
    FROM pg_constraint AS c JOIN pg_class AS t ON t.oid = c.conrelid WHERE t.relnamespace = 'history'::regnamespace
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'history'
    UNION ALL SELECT attrelid::regclass::text || ' ' || attname || ' ' || format_type(atttypid, atttypmod) || attnotnull
    FROM pg_attribute AS a JOIN pg_class AS t ON t.oid = a.attrelid
    WHERE t.relnamespace = 'history'::regnamespace AND attnum > 0 ORDER BY 1
"""


class Connection(Protocol):
    """The part of asyncpg's connection that loading needs."""

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement; returns its status."""
        ...

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        """Return all rows."""
        ...

    async def fetchval(self, query: str, *args: object) -> Any:
        """Return the first column of the first row."""
        ...

    async def copy_to_table(
        self, table_name: str, *, schema_name: str, columns: list[str], source: AsyncIterable[bytes], format: str
    ) -> str:
        """Copy; returns its status."""
        ...

    async def close(self) -> None:
        """Close."""
        ...


class SchemaChangedError(Exception):
    """The loaded database is not what the migrations made."""


@dataclass(frozen=True)
class LoadTimes:
    """Seconds for the parts of loading."""

    rows: float
    indexes: float
    vacuum: float


@asynccontextmanager
async def connection_to(url: str) -> AsyncGenerator[Connection]:
    """Connect without limits on time."""
    # asyncpg declares no return type for connect().
    connection = cast(Connection, await asyncpg.connect(url))  # pyright: ignore[reportUnknownMemberType]
    try:
        yield connection
    finally:
        await connection.close()


async def load(url: str, dataset: Dataset) -> LoadTimes:
    """Fill the database at `url` (a superuser's, because COPY does not work under row-level security)."""
    async with connection_to(url) as connection:
        made = await _schema(connection)
        constraints = await connection.fetch(_CONSTRAINTS, BIG_TABLE)
        indexes = await connection.fetch(_INDEXES, BIG_TABLE)
        for constraint in reversed(constraints):
            await connection.execute(f"ALTER TABLE {constraint['relation']} DROP CONSTRAINT {constraint['name']}")
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['name']}")
        await connection.execute(f"ALTER TABLE {BIG_TABLE} SET (autovacuum_enabled = false)")
        started = time.monotonic()
        await _copy_conversations(connection, dataset)
        await _copy_waves(url, dataset)
        loaded = time.monotonic()
        for statement in _BUILD:
            await connection.execute(statement)
        for index in indexes:
            await _build(connection, index["definition"])
        for constraint in constraints:
            await _build(
                connection,
                f"ALTER TABLE {constraint['relation']} ADD CONSTRAINT {constraint['name']} {constraint['definition']}",
            )
        await connection.execute(f"ALTER TABLE {BIG_TABLE} RESET (autovacuum_enabled)")
        built = time.monotonic()
        if await _schema(connection) != made:
            raise SchemaChangedError("the loaded database is not what the migrations made")
        await _build(connection, "VACUUM (ANALYZE, PARALLEL 2)")
        await connection.execute("CHECKPOINT")
        return LoadTimes(loaded - started, built - loaded, time.monotonic() - built)


async def _schema(connection: Connection) -> list[str]:
    return [row[0] for row in await connection.fetch(_SCHEMA)]


async def _build(connection: Connection, statement: str) -> None:
    started = time.monotonic()
    await connection.execute(statement)
    if time.monotonic() - started > 5:
        say(f"{time.monotonic() - started:5.0f} s  {statement[:100]}")


async def _copy_conversations(connection: Connection, dataset: Dataset) -> None:
    lines = (
        f"{dataset.conversation_id(number)}\t{dataset.user_of(number)}\tConversation about matter {number}\t"
        f'{{"type":"active"}}\t{{}}\t{dataset.length(number)}\t{dataset.started(number)}\t'
        f"{dataset.written(number, dataset.length(number))}\n"
        for number in range(dataset.conversations)
    )
    columns = ["id", "user_id", "title", "status", "metadata", "last_position", "created_at", "updated_at"]
    await _copy(connection, "conversations", columns, lines)


async def _copy_waves(url: str, dataset: Dataset) -> None:
    waves, done, started = list(dataset.waves()), 0, time.monotonic()
    with ProcessPoolExecutor(max_workers=min(len(waves), os.cpu_count() or 1)) as pool:
        loop = asyncio.get_running_loop()
        copies = [loop.run_in_executor(pool, partial(_copy_wave, url, dataset, wave)) for wave in waves]
        for copied in asyncio.as_completed(copies):
            done += await copied
            rate = done / (time.monotonic() - started)
            say(f"{done:>10,} of {dataset.messages:,} messages, {rate:,.0f} a second")


def _copy_wave(url: str, dataset: Dataset, wave: range) -> int:
    return asyncio.run(_copy_messages_and_runs(url, dataset, wave))


async def _copy_messages_and_runs(url: str, dataset: Dataset, wave: range) -> int:
    async with connection_to(url) as connection:
        lines = (_message_line(dataset, message) for message in dataset.wave_messages(wave))
        copied = await _copy(connection, "messages", _MESSAGE_COLUMNS, lines)
        await _copy(connection, "runs", _RUN_COLUMNS, _run_lines(dataset, wave))
        return copied


async def _copy(connection: Connection, table: str, columns: list[str], lines: Iterator[str]) -> int:
    async def chunks() -> AsyncGenerator[bytes]:
        chunk = bytearray()
        for line in lines:
            chunk += line.encode()
            if len(chunk) >= CHUNK_BYTES:
                yield bytes(chunk)
                chunk.clear()
        yield bytes(chunk)

    status = await connection.copy_to_table(
        table, schema_name="history", columns=columns, source=chunks(), format="text"
    )
    return int(status.rpartition(" ")[2])


def _message_line(dataset: Dataset, message: Message) -> str:
    conversation, position, text = message.conversation, message.position, message.text
    conversation_id, identifier = dataset.conversation_id(conversation), dataset.message_id(conversation, position)
    created_at = dataset.written(conversation, position).isoformat()
    head = f'{{"id":"{identifier}","thread_id":"{conversation_id}","created_at":"{created_at}",'
    if position % 2:
        role, turn = "user", position
        said = f'"type":"user_message","content":[{{"type":"input_text","text":"{text}"}}],'
        payload = f'{head}{said}"attachments":[],"quoted_text":null,"inference_options":{{}}}}'
    else:
        role, turn = "assistant", position - 1
        said = f'"type":"assistant_message","content":[{{"type":"output_text","text":"{text}","annotations":[]}}]}}'
        payload = head + said
    return (
        f"{conversation_id}\t{identifier}\t{dataset.user_of(conversation)}\t{position}\t{turn}\t{role}\t{role}_message\t"
        f"{text}\t[]\t{payload}\tf\t{created_at}\n"
    )


def _run_lines(dataset: Dataset, wave: range) -> Iterator[str]:
    for position in range(1, CONVERSATION_MESSAGES, MESSAGES_PER_RUN):
        for conversation in wave:
            at = dataset.written(conversation, position).isoformat()
            identifier = f"run_{dataset.message_id(conversation, position).removeprefix('msg_')}"
            yield (
                f"{identifier}\t{dataset.conversation_id(conversation)}\t{dataset.user_of(conversation)}\t{position}\t"
                f"completed\t1\t{at}\t{at}\t{at}\n"
            )
