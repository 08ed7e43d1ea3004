"""Short-lived typed connections to PostgreSQL, for administration."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol, cast

import asyncpg


class Connection(Protocol):
    """The part of asyncpg's connection that administration needs."""

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement (several, without arguments); returns its status."""
        ...

    async def fetchval(self, query: str, *args: object) -> object:
        """Return the first column of the first row."""
        ...


@asynccontextmanager
async def connected(url: str, *, timeout_seconds: int = 10) -> AsyncGenerator[Connection]:
    """Connect until the block is left. Raises what asyncpg raises."""
    # asyncpg declares no return type for connect().
    connection = await asyncpg.connect(url, timeout=timeout_seconds)  # pyright: ignore[reportUnknownVariableType]
    try:
        yield cast(Connection, connection)
    finally:
        await connection.close()
