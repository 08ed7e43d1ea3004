"""Databases for tests, on one real server per test session.

Making and dropping one takes a tenth of a second. A thread of its own does both, beside the tests: what is taken has
been made during the test before.
"""

import asyncio
import itertools
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit, urlunsplit

from launcher.embedded_postgres import ensure_role, running_postgres
from launcher.sql import connected

ROLE = "threadkeep"

Migrate = Callable[[str], Awaitable[object]]
"""Brings the database at an address to its newest schema."""


@dataclass(frozen=True)
class PostgresServer:
    """One server: makes databases that belong to an ordinary role, as in production."""

    superuser_url: str
    role_password: str
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _templates: dict[str, str] = field(default_factory=dict[str, str])
    _maker: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _spares: dict[str | None, Future[str]] = field(default_factory=dict[str | None, Future[str]])

    async def create_database(self, template: str | None = None) -> str:
        """Create a database, empty or as a copy of a template, and return its address for the ordinary role."""
        spare = self._spares.pop(template, None) or self._maker.submit(self._create, template)
        url = await asyncio.wrap_future(spare)
        self._spares[template] = self._maker.submit(self._create, template)
        return url

    async def template(self, name: str, migrate: Migrate) -> str:
        """Return the name of a migrated template database; `migrate` runs once per session and name."""
        if name not in self._templates:
            url = await self.create_database()
            await migrate(url)
            self._templates[name] = database_of(url)
        return self._templates[name]

    async def drop_database(self, url: str) -> None:
        """Drop the database soon, whoever is still connected."""
        self._maker.submit(self._execute, f'DROP DATABASE IF EXISTS "{database_of(url)}" WITH (FORCE)')

    def superuser(self, url: str) -> str:
        """Return the superuser's address of the same database."""
        return _with_path(self.superuser_url, database_of(url))

    async def ensure_role(self) -> None:
        """Create the ordinary role, or set its password."""
        async with connected(self.superuser_url) as connection:
            await ensure_role(connection, ROLE, self.role_password)

    async def close(self) -> None:
        """Drop templates and spares: matters on a server that outlives the session."""
        spares = [database_of(await asyncio.wrap_future(spare)) for spare in self._spares.values()]
        for name in [*spares, *self._templates.values()]:
            self._maker.submit(self._execute, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await asyncio.to_thread(self._maker.shutdown)

    def _create(self, template: str | None) -> str:
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        source = f' TEMPLATE "{template}"' if template else ""
        self._execute(f'CREATE DATABASE "{name}" OWNER "{ROLE}"{source}')
        return self._role_url(name)

    def _execute(self, statement: str) -> None:
        """Execute on a connection of its own, in the maker's thread."""

        async def execute() -> None:
            async with connected(self.superuser_url) as connection:
                await connection.execute(statement)

        asyncio.run(execute())

    def _role_url(self, database: str) -> str:
        parts = urlsplit(_with_path(self.superuser_url, database))
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{ROLE}:{self.role_password}@{host}"))


def database_of(url: str) -> str:
    """Return the name of the database in an address."""
    return urlsplit(url).path.lstrip("/")


def _with_path(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@asynccontextmanager
async def postgres_server(data_dir: Path, external_url: str | None) -> AsyncGenerator[PostgresServer]:
    """Give the session's server: the external one (its superuser's address), else an embedded one."""
    if external_url:
        server = PostgresServer(external_url, token_hex())
        await server.ensure_role()
        yield server
        await server.close()
        return
    async with running_postgres(data_dir) as embedded:
        server = PostgresServer(embedded.url(), token_hex())
        await server.ensure_role()
        try:
            yield server
        finally:
            await server.close()
