"""A program that dies comes back; what it stored is still there."""

import json
import os
import signal
from pathlib import Path

import asyncpg

from launcher.sql import connected
from tests.support.launched import Launched, launched
from tests.support.ports import free_port
from tests.support.servers import eventually


async def kill_and_wait_for_another(launcher: Launched, name: str) -> int:
    """Kill a program; returns the pid of the one that took its place."""
    before = launcher.living(name)[name]
    os.kill(before, signal.SIGKILL)
    await eventually(lambda: launcher.living(name).get(name, before) != before, what=f"{name} was restarted")
    return launcher.living(name)[name]


async def test_a_killed_worker_is_restarted_and_said_so(project: Path) -> None:
    async with launched(project) as launcher:
        await launcher.up()
        await kill_and_wait_for_another(launcher, "agent-worker-1")
        assert "was ended by SIGKILL: restarting in 0.5 s (restart 1)" in launcher.output


async def test_the_pause_grows_while_a_program_keeps_dying(project: Path) -> None:
    async with launched(project) as launcher:
        await launcher.up()
        (project / "agent_worker" / "__main__.py").write_text("raise SystemExit(7)\n")
        os.kill(launcher.living("agent-worker-1")["agent-worker-1"], signal.SIGKILL)
        await eventually(lambda: "restarting in 2 s (restart 3)" in launcher.output, what="the third restart")

    assert "was ended by SIGKILL: restarting in 0.5 s (restart 1)" in launcher.output
    assert "ended with exit code 7: restarting in 1 s (restart 2)" in launcher.output


async def test_databases_keep_their_data_when_killed_and_over_a_restart(project: Path) -> None:
    port = free_port()
    async with launched(project, POSTGRES_PORT=str(port)) as launcher:
        await launcher.up()
        password = json.loads((project / ".data" / "secrets.json").read_text())["database_password"]
        url = f"postgresql://threadkeep:{password}@127.0.0.1:{port}/threadkeep"
        async with connected(url) as connection:
            await connection.execute("CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)")

        await kill_and_wait_for_another(launcher, "redis")
        await kill_and_wait_for_another(launcher, "postgres")
        await eventually(lambda: has_one_row(url), what="the row is there after the crash")

    async with launched(project, POSTGRES_PORT=str(port)) as again:
        await again.up()
        assert await has_one_row(url)


async def test_workers_are_numbered_on_successive_ports(project: Path) -> None:
    async with launched(project, WORKERS="2") as launcher:
        await launcher.up()
        workers = launcher.living("agent-worker-1", "agent-worker-2")
        second = int(launcher.environment["WORKER_PORT"]) + 1

        assert len(workers) == 2
        assert f"agent-worker-2   | serving on {second}" in launcher.output


async def test_databases_that_are_given_are_used_and_none_embedded(
    project: Path, database_url: str, redis_url: str
) -> None:
    async with launched(project, DATABASE_URL=database_url, REDIS_URL=redis_url) as launcher:
        assert "postgres" not in await launcher.up()
        assert not (project / ".data" / "postgres").exists()


async def has_one_row(url: str) -> bool:
    try:
        async with connected(url) as connection:
            return await connection.fetchval("SELECT count(*) FROM kept") == 1
    except (OSError, asyncpg.PostgresError):
        return False
