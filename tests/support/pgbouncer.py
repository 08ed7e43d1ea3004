"""A real PgBouncer in transaction mode, in front of the tests' Postgres."""

import asyncio
import os
import re
import shutil
import subprocess
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from urllib.parse import SplitResult, urlsplit, urlunsplit

import asyncpg

from bootstrap.debian import PGBOUNCER
from launcher.children import Command, spawn, stop
from launcher.ports import LOOPBACK
from launcher.sql import connected
from launcher.unprivileged import choose_identity, hand_over, let_through
from tests.support.ports import free_port
from tests.support.servers import eventually

PROJECT = Path(__file__).parents[2]

SERVER_POOL = 4
"""Connections to Postgres for each database: few, so that transactions of all clients take turns on them."""

STOP_SECONDS = 5.0


@dataclass(frozen=True)
class PgBouncer:
    """A running pooler. It knows one login role of one server."""

    port: int

    def url(self, database_url: str) -> str:
        """Return the address of the same database through the pooler."""
        parts = urlsplit(database_url)
        credentials = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{credentials}@{LOOPBACK}:{self.port}"))


def find_pgbouncer() -> str:
    """Return the program: PGBOUNCER_PATH, else the one on PATH, else the one that the bootstrap has unpacked."""
    named = os.environ.get("PGBOUNCER_PATH")  # noqa: TID251 - the tests' own settings
    found = named or shutil.which("pgbouncer") or shutil.which(PROJECT / PGBOUNCER.folder / PGBOUNCER.name)
    assert found, "No PgBouncer: install it, set PGBOUNCER_PATH, or let `make test` fetch it."
    return found


@asynccontextmanager
async def running_pgbouncer(folder: Path, database_url: str) -> AsyncGenerator[PgBouncer]:
    """Run a pooler in front of the server of `database_url`, for the role that is named in it."""
    program, pooler = find_pgbouncer(), PgBouncer(free_port())
    config = _configure(folder, program, urlsplit(database_url), pooler.port)
    log = folder / "pgbouncer.log"
    # It keeps nothing, and its gentler signals wait for clients, differently in each version: SIGKILL.
    command = Command((program, str(config)), identity=choose_identity(), stop_signal=SIGKILL)
    with log.open("ab") as output:
        process = await spawn(command, output=output)
    try:
        await _wait_ready(process, pooler.url(database_url), log)
        yield pooler
    finally:
        await stop(process, command.stop_signal, STOP_SECONDS)


def _configure(folder: Path, program: str, server: SplitResult, port: int) -> Path:
    """Write the configuration, readable for whom the pooler runs as, and return its file."""
    folder.mkdir(mode=0o700)
    config, users = folder / "pgbouncer.ini", folder / "users.txt"
    users.write_text(f'"{server.username}" "{server.password}"\n')
    settings = {
        "listen_addr": LOOPBACK,
        "listen_port": str(port),
        "unix_socket_dir": "",
        "pool_mode": "transaction",
        "auth_type": "scram-sha-256",
        "auth_file": str(users),
        "default_pool_size": str(SERVER_POOL),
        "max_client_conn": "500",
        # After a failed attempt to reach the server: tests do not wait the usual 15 s for the next.
        "server_login_retry": "1",
    }
    if _version(program) >= (1, 21):
        # Off, as in older versions: the service is not to depend on it.
        settings["max_prepared_statements"] = "0"
    options = "".join(f"{name} = {value}\n" for name, value in settings.items())
    databases = f"* = host={server.hostname} port={server.port or 5432}\n"
    config.write_text(f"[databases]\n{databases}[pgbouncer]\n{options}")
    let_through(folder.parent, choose_identity())
    hand_over(folder, choose_identity())
    return config


def _version(program: str) -> tuple[int, ...]:
    answer = subprocess.run((program, "--version"), capture_output=True, text=True, check=True)  # noqa: S603 - as found
    found = re.search(r"(\d+)\.(\d+)", answer.stdout)
    assert found, answer.stdout
    return tuple(int(part) for part in found.groups())


async def _wait_ready(process: Process, url: str, log: Path) -> None:
    async def answers() -> bool:
        assert process.returncode is None, f"PgBouncer ended, see {log}"
        with suppress(OSError, asyncpg.PostgresError, asyncio.TimeoutError):
            async with connected(url, timeout_seconds=2) as connection:
                # Without arguments: a prepared statement would stay behind on the server's connection.
                await connection.execute("SELECT 1")
                return True
        return False

    await eventually(answers, what="PgBouncer answers")
