"""Postgres through SQLAlchemy and asyncpg: settings, the engine, and transactions that act as one user.

Only services with a database import this module; it needs `sqlalchemy[asyncio]` and `asyncpg`.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator
from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from service_kit.settings import ServiceSettings

DRIVER = "postgresql+asyncpg"
ACCEPTED_SCHEMES = ("postgres", "postgresql", DRIVER)
POOLED_HOST_MARK = "-pooler"
"""What Neon puts into the name of a host that is a transaction pooler."""


class DatabaseSettings(ServiceSettings):
    """What a service with a database reads besides the common settings."""

    database_url: SecretStr
    """`postgresql://…` as Neon and libpq write it; `sslmode` and `channel_binding` are understood."""

    database_pooler: Literal["auto", "on", "off"] = "auto"
    """Whether a transaction pooler is in between; `auto` looks for `-pooler` in the host's name."""

    database_pool_size: int = Field(default=10, ge=1)
    database_max_overflow: int = Field(default=10, ge=0)
    database_pool_timeout_seconds: float = Field(default=5.0, gt=0)
    """How long a request waits for a connection of the pool before it is answered 503."""

    database_connect_timeout_seconds: float = Field(default=5.0, gt=0)
    database_command_timeout_seconds: float = Field(default=15.0, gt=0)

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, url: SecretStr) -> SecretStr:
        asyncpg_url(url.get_secret_value())
        return url


def asyncpg_url(database_url: str) -> URL:
    """Translate a libpq URL for SQLAlchemy's asyncpg dialect. Raises ValueError for what is not Postgres."""
    scheme = database_url.partition("://")[0]
    if scheme not in ACCEPTED_SCHEMES:
        raise ValueError("DATABASE_URL must begin with postgresql://")
    url = make_url(database_url).set(drivername=DRIVER)
    query = dict(url.query)
    query.pop("channel_binding", None)
    sslmode = query.pop("sslmode", None)
    if sslmode is not None:
        query["ssl"] = sslmode
    return url.set(query=query)


def direct_url(url: URL) -> URL:
    """Return the same database without Neon's pooler in between, as migrations want it."""
    return url.set(host=url.host.replace(POOLED_HOST_MARK, "", 1)) if url.host else url


def is_pooled(url: URL, pooler: Literal["auto", "on", "off"]) -> bool:
    """Tell whether statements may meet another server connection in each transaction."""
    return pooler == "on" or (pooler == "auto" and POOLED_HOST_MARK in (url.host or ""))


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def create_engine(settings: DatabaseSettings) -> AsyncEngine:
    """Make the service's engine. Its owner disposes of it."""
    url = asyncpg_url(settings.database_url.get_secret_value())
    connect_args: dict[str, Any] = {
        "timeout": settings.database_connect_timeout_seconds,
        "command_timeout": settings.database_command_timeout_seconds,
    }
    if is_pooled(url, settings.database_pooler):
        connect_args["statement_cache_size"] = 0
    return create_async_engine(
        url,
        connect_args=connect_args,
        json_serializer=_to_json,
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_max_overflow,
        pool_timeout=settings.database_pool_timeout_seconds,
        pool_pre_ping=True,
        hide_parameters=True,
    )


def create_migration_engine(settings: DatabaseSettings) -> AsyncEngine:
    """Make an engine on the direct host, without a pool and without a limit on a statement's time."""
    url = direct_url(asyncpg_url(settings.database_url.get_secret_value()))
    connect_args = {"timeout": settings.database_connect_timeout_seconds, "statement_cache_size": 0}
    return create_async_engine(url, connect_args=connect_args, poolclass=NullPool)


_ASSUME = text("SELECT set_config('role', :role, true), set_config('app.user_id', :user_id, true)")


async def assume(connection: AsyncConnection, role: str, user_id: str | None) -> None:
    """Make the rest of the transaction act as `role` for `user_id`; one round trip.

    `set_config('role', …, true)` is `SET LOCAL ROLE`: both end with the transaction, so nothing leaks through a pool.
    """
    await connection.execute(_ASSUME, {"role": role, "user_id": user_id or ""})


@asynccontextmanager
async def role_transaction(
    engine: AsyncEngine, role: str, user_id: str | None = None
) -> AsyncGenerator[AsyncConnection]:
    """Open a transaction that acts as `role` for `user_id`; commits at the end, rolls back on an exception."""
    async with engine.begin() as connection:
        await assume(connection, role, user_id)
        yield connection


async def ping(engine: AsyncEngine) -> None:
    """Ask the database for an answer; for readiness checks. Raises if there is none."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
