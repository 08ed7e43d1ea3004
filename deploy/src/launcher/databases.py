"""PostgreSQL and Redis: embedded ones under supervision, or the owner's own."""

import asyncio
import time
from dataclasses import dataclass

import asyncpg
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from launcher.embedded_postgres import EmbeddedPostgres
from launcher.embedded_valkey import EmbeddedValkey
from launcher.environments import Addresses
from launcher.errors import NotReadyError
from launcher.ports import free_port
from launcher.secret_store import Secrets
from launcher.settings import LauncherSettings
from launcher.sql import connected
from launcher.stale_lock import remove_stale_lock
from launcher.supervised import Program
from launcher.supervisor import Supervisor

DATABASE = "threadkeep"
ROLE = "threadkeep"
EXTERNAL_SECONDS = 30.0
"""How long an external server may take to answer: one that scales to zero has to wake up."""
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Databases:
    """Where the databases are, and who runs them."""

    addresses: Addresses
    postgres: EmbeddedPostgres | None
    redis: EmbeddedValkey | None

    async def start(self, supervisor: Supervisor) -> None:
        """Start the embedded ones, and wait for the external ones. Raises LauncherError."""
        programs: list[Program] = []
        if self.postgres is not None:
            await self.postgres.prepare()
            remove_stale_lock(self.postgres.data_dir)
            programs.append(Program("postgres", self.postgres.command(), self.postgres.is_ready))
        if self.redis is not None:
            self.redis.prepare()
            programs.append(Program("redis", self.redis.command(), self.redis.is_ready))
        await supervisor.start_tier(programs)
        if self.postgres is None:
            await _wait_for_postgres(self.addresses.database_url)
        if self.redis is None:
            await _wait_for_redis(self.addresses.redis_url)

    async def create(self, secrets: Secrets) -> None:
        """Make the product's role and database in the embedded PostgreSQL."""
        if self.postgres is not None:
            await self.postgres.ensure_database(DATABASE, ROLE, secrets.database_password)


def plan_databases(settings: LauncherSettings, secrets: Secrets) -> Databases:
    """Decide between embedded and external ones, and choose ports."""
    postgres = None
    database_url = settings.database_url
    if database_url is None:
        port = settings.postgres_port or free_port()
        postgres = EmbeddedPostgres(settings.data_dir / "postgres", port, secrets.postgres_superuser_password)
        database_url = postgres.url(DATABASE, ROLE, secrets.database_password)
    valkey = None
    redis_url = settings.redis_url
    if redis_url is None:
        valkey = EmbeddedValkey(settings.data_dir / "redis", settings.redis_port or free_port(), secrets.redis_password)
        redis_url = valkey.url
    return Databases(Addresses(database_url, redis_url), postgres, valkey)


async def _wait_for_postgres(url: str) -> None:
    deadline = time.monotonic() + EXTERNAL_SECONDS
    while True:
        try:
            async with connected(url):
                return
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            if time.monotonic() > deadline or not isinstance(error, OSError | asyncpg.CannotConnectNowError):
                reason = str(error) or type(error).__name__
                raise NotReadyError(f"DATABASE_URL does not answer: {reason}.") from error
        await asyncio.sleep(POLL_SECONDS)


async def _wait_for_redis(url: str) -> None:
    deadline = time.monotonic() + EXTERNAL_SECONDS
    while True:
        try:
            client = redis.Redis.from_url(url, socket_timeout=2.0, retry=Retry(NoBackoff(), 0))
        except ValueError as error:
            raise NotReadyError(f"REDIS_URL is not an address: {error}.") from error
        try:
            await client.ping()
        except (RedisError, OSError) as error:
            if time.monotonic() > deadline:
                raise NotReadyError(f"REDIS_URL does not answer: {error}.") from error
        else:
            return
        finally:
            await client.aclose()
        await asyncio.sleep(POLL_SECONDS)
