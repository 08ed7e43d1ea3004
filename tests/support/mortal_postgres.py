"""A Postgres that tests may kill: the embedded server, its process in the tests' hands."""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex

from launcher.children import spawn, stop
from launcher.embedded_postgres import START_SECONDS, STOP_SECONDS, EmbeddedPostgres
from launcher.sql import connected
from tests.support.ports import free_port
from tests.support.postgres import ROLE
from tests.support.servers import POLL_SECONDS

DATABASE = "mortal"

_A_BACKEND = f"SELECT pid FROM pg_stat_activity WHERE usename = '{ROLE}' ORDER BY random() LIMIT 1"  # noqa: S608


class MortalPostgres:
    """One durable cluster, always on the same port, with one database of the ordinary role."""

    def __init__(self, data_dir: Path) -> None:
        # Durable: without it, acknowledged commits are lost with the server by design.
        self._server = EmbeddedPostgres(data_dir, free_port(), token_hex(), durable=True)
        self._password = token_hex()
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """The address of the database for the ordinary role."""
        return self._server.url(DATABASE, ROLE, self._password)

    async def prepare(self) -> None:
        """Make the cluster and the database, and start it."""
        await self._server.prepare()
        await self.start()
        await self._server.ensure_database(DATABASE, ROLE, self._password)

    async def start(self) -> None:
        """Start it on the data and the port that it had, and wait for the end of its recovery.

        It is started anew until it stays: it refuses to while a process of its last life has not noticed the end.
        """
        async with asyncio.timeout(START_SECONDS):
            while not await self._is_ready():
                if self._process is None or self._process.returncode is not None:
                    with (self._server.data_dir / "server.log").open("ab") as output:
                        self._process = await spawn(self._server.command(), output=output)
                await asyncio.sleep(POLL_SECONDS)

    async def kill(self) -> None:
        """`kill -9` the postmaster; its children end when they notice."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def kill_a_backend(self) -> None:
        """`kill -9` one backend, as a kernel short of memory does: the server ends all others and recovers."""
        async with connected(self._server.url(DATABASE)) as connection:
            victim = await connection.fetchval(_A_BACKEND)
        assert isinstance(victim, int), "somebody is connected"
        os.kill(victim, signal.SIGKILL)

    async def stop(self) -> None:
        """End it for good."""
        if self._process is not None:
            await stop(self._process, signal.SIGINT, STOP_SECONDS)

    async def _is_ready(self) -> bool:
        return self._process is not None and self._process.returncode is None and await self._server.is_ready()


@asynccontextmanager
async def mortal_postgres(data_dir: Path) -> AsyncGenerator[MortalPostgres]:
    """Run a server that may be killed and started again until the block is left."""
    server = MortalPostgres(data_dir)
    try:
        await server.prepare()
        yield server
    finally:
        await server.stop()
