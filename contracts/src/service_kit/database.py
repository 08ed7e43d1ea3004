"""Postgres through asyncpg: a pool, and transactions that act as one user.

Only services with a database import this module; it needs `asyncpg`, and `sqlalchemy` for `service_kit.statements`.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, cast

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from service_kit.database_problems import DATABASE_ERRORS, OutcomeUnknownError
from service_kit.database_settings import DatabaseSettings, asyncpg_url, is_pooled
from service_kit.statements import Statement
from service_kit.waking import until_awake

_ASSUME = "SELECT set_config('role', $1, true), set_config('app.user_id', $2, true)"


class Transaction:
    """An open transaction that acts as one role for one user."""

    __slots__ = ("_connection", "_seconds")

    def __init__(self, connection: PoolConnectionProxy, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds

    async def rows(self, statement: Statement, /, **values: Any) -> list[asyncpg.Record]:
        """Return all rows."""
        return await self._connection.fetch(statement.sql, *statement.arguments(values), timeout=self._seconds)

    async def row(self, statement: Statement, /, **values: Any) -> asyncpg.Record | None:
        """Return the first row, or None."""
        return await self._connection.fetchrow(statement.sql, *statement.arguments(values), timeout=self._seconds)

    async def value(self, statement: Statement, /, **values: Any) -> Any:
        """Return the first column of the first row, or None."""
        return await self._connection.fetchval(statement.sql, *statement.arguments(values), timeout=self._seconds)

    async def execute(self, statement: Statement, /, **values: Any) -> int:
        """Return how many rows the statement touched."""
        arguments = statement.arguments(values)
        status = await self._connection.execute(statement.sql, *arguments, timeout=self._seconds)
        return int(status.rpartition(" ")[2])

    async def execute_many(self, statement: Statement, values: Iterable[Mapping[str, Any]]) -> None:
        """Execute the statement once for each mapping, in one round trip."""
        arguments = [statement.arguments(each) for each in values]
        await self._connection.executemany(statement.sql, arguments, timeout=self._seconds)

    async def assume(self, role: str, user_id: str | None) -> None:
        """Make the rest of the transaction act as `role` for `user_id`; one round trip.

        `set_config('role', …, true)` is `SET LOCAL ROLE`: both end with the transaction, so nothing leaks through a
        pool.
        """
        await self._connection.execute(_ASSUME, role, user_id or "", timeout=self._seconds)


class Database:
    """A pool of connections. `open_database` makes and closes it."""

    def __init__(
        self, pool: asyncpg.Pool, *, acquire_seconds: float, wake_seconds: float, command_seconds: float
    ) -> None:
        self.pool = pool
        self.command_seconds = command_seconds
        self.acquire_seconds = acquire_seconds
        self.wake_seconds = wake_seconds

    def transaction(self, role: str, user_id: str | None = None) -> "TransactionContext":
        """Return a context in which a transaction acts as `role` for `user_id`.

        It commits at the end and rolls back on an exception. Entering it tries again for `wake_seconds` while the
        database cannot be reached: nothing has been asked of it yet.
        """
        return TransactionContext(self, role, user_id)

    def is_exhausted(self) -> bool:
        """Tell whether all connections are in use."""
        return self.pool.get_size() == self.pool.get_max_size() and self.pool.get_idle_size() == 0

    async def ping(self) -> None:
        """Ask the database for an answer, once; for readiness checks. Raises if there is none."""
        connection = cast(PoolConnectionProxy, await self.pool.acquire(timeout=self.acquire_seconds))
        try:
            await connection.execute("SELECT 1", timeout=self.command_seconds)
        finally:
            await self.pool.release(connection)


class TransactionContext:
    """Opens and ends one transaction. A connection on which either fails is dropped: the pool makes a new one."""

    __slots__ = ("_connection", "_database", "_role", "_user_id")

    _connection: PoolConnectionProxy

    def __init__(self, database: Database, role: str, user_id: str | None) -> None:
        self._database = database
        self._role = role
        self._user_id = user_id

    async def __aenter__(self) -> Transaction:
        database = self._database
        return await until_awake(
            self._begin,
            attempt_seconds=database.acquire_seconds,
            wake_seconds=database.wake_seconds,
            is_hopeless=database.is_exhausted,
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self._commit()
        else:
            await self._roll_back()
        # What was to be done is done: a connection that cannot be given back any more is the pool's affair.
        with suppress(*DATABASE_ERRORS):
            await self._database.pool.release(self._connection)

    async def _begin(self, seconds: float) -> Transaction:
        # An idle connection may have died unnoticed, and then nothing would come back for long.
        async with asyncio.timeout(seconds):
            self._connection = cast(PoolConnectionProxy, await self._database.pool.acquire())
            try:
                await self._connection.execute("BEGIN")
                await self._connection.execute(_ASSUME, self._role, self._user_id or "")
            except BaseException:
                self._drop()
                raise
        return Transaction(self._connection, self._database.command_seconds)

    async def _commit(self) -> None:
        if self._connection.is_closed():
            self._drop()
            raise ConnectionResetError("The connection was lost before it was asked to commit.")
        try:
            answer: str = await self._connection.execute("COMMIT", timeout=self._database.command_seconds)
        except BaseException as failure:
            self._drop()
            if isinstance(failure, DATABASE_ERRORS) and not _is_refusal(failure):
                raise OutcomeUnknownError() from failure
            raise
        if answer != "COMMIT":
            # Postgres rolls back, and calls it no error, when a statement has failed and nobody minded.
            self._drop()
            raise RuntimeError("a transaction in which a statement had failed was to be committed")

    async def _roll_back(self) -> None:
        try:
            await self._connection.execute("ROLLBACK", timeout=self._database.acquire_seconds)
        except BaseException as failure:
            # The server does it itself. What the caller gets is why the transaction was to end.
            self._drop()
            if not isinstance(failure, DATABASE_ERRORS):
                raise

    def _drop(self) -> None:
        # Once it is lost, the pool has it back already.
        with suppress(asyncpg.InterfaceError):
            self._connection.terminate()


def _is_refusal(failure: BaseException) -> bool:
    """Tell whether it is the server's answer that it did not commit, and not the end of the connection."""
    return isinstance(failure, asyncpg.PostgresError) and getattr(failure, "severity_en", None) == "ERROR"


@asynccontextmanager
async def open_database(settings: DatabaseSettings) -> AsyncGenerator[Database]:
    """Open a pool that connects when it is first needed, and close it at the end."""
    options: dict[str, Any] = {"statement_cache_size": 0} if is_pooled(settings) else {}
    pool = asyncpg.create_pool(
        asyncpg_url(settings.database_url.get_secret_value()),
        min_size=0,
        max_size=settings.database_pool_size,
        timeout=settings.database_connect_timeout_seconds,
        init=_speak_json,
        reset=_nothing_to_reset,
        **options,
    )
    async with pool:
        yield Database(
            pool,
            acquire_seconds=settings.database_pool_timeout_seconds,
            wake_seconds=settings.database_wake_seconds,
            command_seconds=settings.database_command_timeout_seconds,
        )


async def _speak_json(connection: asyncpg.Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=_to_json, decoder=json.loads)


async def _nothing_to_reset(connection: PoolConnectionProxy) -> None:
    """Save the round trip of asyncpg's own reset: whatever is set here ends with its transaction."""


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
