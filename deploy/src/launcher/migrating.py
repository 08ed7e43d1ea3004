"""Runs the migrations: programs that must end well before any service starts."""

import asyncio
import signal
from asyncio.subprocess import PIPE
from collections.abc import Sequence

from launcher.children import spawn, stop
from launcher.errors import LauncherError
from launcher.output import copy_output
from launcher.programs import Migration
from launcher.supervised import Surroundings, describe_end

MIGRATION_SECONDS = 600.0
"""Longest time for one migration."""


class MigrationError(LauncherError):
    """A migration failed: no service may start on that database."""


async def migrate(migrations: Sequence[Migration], around: Surroundings) -> None:
    """Run them side by side. Raises MigrationError for the first that fails, after all have ended."""
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(_run(migration, around)) for migration in migrations]
    for migration, answer in zip(migrations, answers, strict=True):
        code = answer.result()
        if code != 0:
            end = f"took over {MIGRATION_SECONDS:g} s" if code is None else describe_end(code)
            raise MigrationError(
                f"The migration of {migration.name} {end}: see its lines above. No service was started."
            )


async def _run(migration: Migration, around: Surroundings) -> int | None:
    """Run one; returns its exit code, or None when it took too long."""
    name = f"migrate {migration.name.removesuffix('-service')}"
    process = await spawn(migration.command, output=PIPE)
    around.watch.started(process.pid, signal.SIGKILL)
    try:
        async with asyncio.timeout(MIGRATION_SECONDS):
            if process.stdout is not None:
                await copy_output(name, process.stdout, around.console, around.logs / f"{migration.name}.log")
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        await stop(process, signal.SIGTERM, around.stop_grace_seconds)
        around.watch.ended(process.pid)
