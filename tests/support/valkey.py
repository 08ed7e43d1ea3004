"""A real Valkey for tests; each test gets an emptied numbered database."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import redis.asyncio as redis

from launcher.embedded_valkey import running_valkey

DATABASES = 16


@dataclass
class ValkeyServer:
    """One server. Pub/sub channels are shared by its databases: name them after run ids, which are unique."""

    server_url: str
    _next: int = 0

    async def empty_database(self) -> str:
        """Return the address of the next database, emptied. They come round after 16."""
        url = urlunsplit(urlsplit(self.server_url)._replace(path=f"/{self._next}"))
        self._next = (self._next + 1) % DATABASES
        client = redis.Redis.from_url(url)
        try:
            await client.flushdb()
        finally:
            await client.aclose()
        return url


@asynccontextmanager
async def valkey_server(data_dir: Path, external_url: str | None) -> AsyncGenerator[ValkeyServer]:
    """Give the session's server: the external one, else an embedded one."""
    if external_url:
        yield ValkeyServer(external_url)
        return
    async with running_valkey(data_dir) as embedded:
        yield ValkeyServer(embedded.url)
