"""Migrations with Alembic: one schema per service, safe to run in parallel and again.

The whole upgrade is one transaction under an advisory lock, so a second process waits and then finds nothing to do.
(Within one process, one upgrade at a time: Alembic's context is global.)
Only services with a database import this module; it needs `alembic` and `asyncpg`.
"""

from typing import Any

import asyncpg
from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateSchema

from service_kit.database_settings import DatabaseSettings, direct_url
from service_kit.waking import until_awake

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


async def upgrade(settings: DatabaseSettings, *, schema: str, script_location: str, revision: str = "head") -> None:
    """Bring `schema` to `revision`. `script_location` is Alembic's: `package:folder`."""

    def run(connection: Connection) -> None:
        connection.execute(_LOCK, {"name": f"threadkeep migration of {schema}"})
        connection.execute(CreateSchema(schema, if_not_exists=True))
        config = Config()
        config.set_main_option("script_location", script_location)
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        config.attributes["schema"] = schema
        command.upgrade(config, revision)

    engine = create_migration_engine(settings)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()


def create_migration_engine(settings: DatabaseSettings) -> AsyncEngine:
    """Make an engine on the direct host, without a pool and without a limit on a statement's time.

    It waits for a database that wakes up, as the service does.
    """
    url = direct_url(settings.database_url.get_secret_value())

    async def connect(seconds: float) -> Any:
        # asyncpg's declaration of `timeout` forbids fractions, and that of the result is missing.
        options: dict[str, Any] = {"timeout": seconds, "statement_cache_size": 0}
        return await asyncpg.connect(url, **options)  # pyright: ignore[reportUnknownVariableType]

    async def connect_in_time() -> Any:
        attempt, wake = settings.database_connect_timeout_seconds, settings.database_wake_seconds
        return await until_awake(connect, attempt_seconds=attempt, wake_seconds=wake)

    return create_async_engine("postgresql+asyncpg://", async_creator=connect_in_time, poolclass=NullPool)


def run_in_environment() -> None:
    """Run the migrations on the connection that `upgrade` holds: the body of a service's `env.py`."""
    attributes = context.config.attributes
    context.configure(connection=attributes["connection"], version_table_schema=attributes["schema"])
    with context.begin_transaction():
        context.run_migrations()


def ensure_role(connection: Connection, role: str) -> None:
    """Create a NOLOGIN role, if the cluster lacks it, and let the connecting role assume it.

    Roles belong to the cluster, not to the database: another database may be creating the same one right now, and
    then the loser of that race finds it made. The grant does not inherit (Postgres 16 and newer): the connecting
    role has the rights of `role` only in transactions that assume it.
    """
    options = "WITH INHERIT FALSE, SET TRUE" if _server_version(connection) >= 160000 else ""
    quoted = connection.dialect.identifier_preparer.quote_identifier(role)
    connection.execute(
        text(
            f"""
            DO $$ BEGIN
                IF to_regrole('{role}') IS NULL THEN
                    CREATE ROLE {quoted} NOLOGIN;
                END IF;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
            END $$
            """
        )
    )
    if not connection.scalar(text("SELECT pg_has_role(session_user, :role, :right)"), _set_right(connection, role)):
        connection.execute(
            text(
                f"""
                DO $$ BEGIN
                    GRANT {quoted} TO SESSION_USER {options};
                EXCEPTION WHEN unique_violation THEN NULL;
                END $$
                """
            )
        )


def _server_version(connection: Connection) -> int:
    return int(connection.scalar(text("SHOW server_version_num")) or 0)


def _set_right(connection: Connection, role: str) -> dict[str, str]:
    return {"role": role, "right": "SET" if _server_version(connection) >= 160000 else "MEMBER"}
