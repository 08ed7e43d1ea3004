"""Migrations: in parallel, again, in several databases of one cluster, and the same as the tables."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import CheckConstraint, Connection, inspect
from sqlmodel import SQLModel

from history_service import migrations, tables
from launcher.sql import connected
from service_kit.database_settings import DatabaseSettings
from service_kit.migrations import create_migration_engine
from tests.support.postgres import postgres_server


async def test_parallel_first_migrations_of_several_databases(tmp_path: Path) -> None:
    """Roles belong to the cluster, so this takes one that has never seen them."""
    async with postgres_server(tmp_path / "data", None) as cluster:
        urls = [await cluster.create_database() for _ in range(2)]
        programs = [await migration_program(url) for url in urls * 3]
        outputs = [await program.communicate() for program in programs]
        assert [program.returncode for program in programs] == [0] * len(programs), outputs
        for url in urls:
            async with connected(url) as connection:
                assert await connection.fetchval("SELECT version_num FROM history.alembic_version") == newest_version()


def newest_version() -> str:
    folder = Path(migrations.__file__).parent / "versions"
    return max(path.name.partition("_")[0] for path in folder.glob("[0-9]*.py"))


async def migration_program(url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "history_service.migrate",
        env={"DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_tables_are_what_the_migrations_make(database_url: str) -> None:
    engine = create_migration_engine(DatabaseSettings(database_url=SecretStr(database_url)))

    def compare(connection: Connection) -> tuple[list[Any], set[str], set[str]]:
        options = {
            "include_schemas": True,
            "compare_server_default": True,
            "include_name": _in_schema,
            "include_object": _is_ours,
        }
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, SQLModel.metadata)
        inspector = inspect(connection)
        names = inspector.get_table_names(tables.SCHEMA)
        made = {str(check["name"]) for name in names for check in inspector.get_check_constraints(name, tables.SCHEMA)}
        declared = {
            str(constraint.name)
            for table in SQLModel.metadata.tables.values()
            if table.schema == tables.SCHEMA
            for constraint in table.constraints
            if isinstance(constraint, CheckConstraint)
        }
        return differences, made, declared

    async with engine.connect() as connection:
        differences, made, declared = await connection.run_sync(compare)
    await engine.dispose()
    assert differences == []
    assert made == declared


def _in_schema(name: str | None, type_: str, parents: Any) -> bool:
    return name == tables.SCHEMA if type_ == "schema" else name != "alembic_version"


def _is_ours(object_: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:
    """Leave out the tables that other services in this process have put into SQLModel's one metadata."""
    return type_ != "table" or object_.schema == tables.SCHEMA
