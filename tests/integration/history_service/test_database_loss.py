"""Postgres killed with `kill -9` under load: requests fail cleanly or succeed, and what was acknowledged is there."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from contracts.conversations import JsonObject
from contracts.ids import new_id
from contracts.principal import CONVERSATIONS_READ
from history_client import HistoryUnavailableError
from launcher.sql import connected
from service_kit.service_client import ServiceClient
from tests.integration.history_service.conftest import migrate_url, signer
from tests.integration.history_service.programs import log_of, ready, running_programs, users_of
from tests.support.history import conversation_put, user_message
from tests.support.mortal_postgres import MortalPostgres, mortal_postgres
from tests.support.pgbouncer import running_pgbouncer
from tests.support.servers import eventually

WAKE_SECONDS = 2
"""A request that finds no database for longer is answered 503."""

PATIENCE_SECONDS = 9.0
"""No answer takes longer: the callers' HTTP client waits for 10."""

RECOVERY_SECONDS = 20.0
DOCUMENTED = {"upstream_unavailable", "outcome_unknown"}

USERS = ("ann", "bob", "eve")
WRITERS = 4
"""Of each user, who has one conversation."""

WORK = 40
"""Acknowledged writes before each blow."""


@dataclass
class Ledger:
    """What callers were told, to be compared with what is stored."""

    processes: list[ServiceClient]
    conversations: dict[str, str] = field(default_factory=dict[str, str])
    acknowledged: dict[str, str] = field(default_factory=dict[str, str])
    """Text by item id."""
    given_up: set[str] = field(default_factory=set[str])
    """Items whose writer was told of a failure and did not repeat them."""
    failures: Counter[str] = field(default_factory=Counter[str])
    slowest: float = 0.0
    is_over: bool = False

    async def open(self) -> None:
        """Make a conversation for each user."""
        for user_id in USERS:
            created = await users_of(self.processes[0], user_id).put_conversation(conversation_put())
            self.conversations[user_id] = created.id

    async def write(self, user_id: str, number: int) -> None:
        """Append items until it is over. Odd writers repeat what failed, even ones give it up."""
        conversation_id, turn = self.conversations[user_id], number
        while not self.is_over:
            turn += 1
            item = user_message(conversation_id, f"{user_id}/{number}/{turn}", new_id("msg"))
            while not await self._store(user_id, turn, item):
                if number % 2 == 0 or self.is_over:
                    self.given_up.add(item["id"])
                    break
            else:
                self.acknowledged[item["id"]] = item["content"][0]["text"]

    async def _store(self, user_id: str, turn: int, item: JsonObject) -> bool:
        user, conversation_id = users_of(self.processes[turn % len(self.processes)], user_id), item["thread_id"]
        began = time.monotonic()
        try:
            if turn % 3:
                assert await user.append_item(conversation_id, item) == item
            else:
                assert await user.put_item(conversation_id, item["id"], item) == item
        except HistoryUnavailableError as error:
            # Neither a hanging request (no status) nor an internal error is a clean failure.
            if error.status != 503 or error.code not in DOCUMENTED:
                raise
            self.failures[error.code] += 1
            return False
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)
        return True

    async def progress(self) -> None:
        """Wait until a good deal more is acknowledged."""
        target = len(self.acknowledged) + WORK
        await eventually(lambda: len(self.acknowledged) >= target, seconds=RECOVERY_SECONDS, what="writes go on")

    async def check(self) -> None:
        """All that was acknowledged is there once; the rest was tried; positions have no gap."""
        stored: dict[str, str] = {}
        for user_id, conversation_id in self.conversations.items():
            found = await log_of(users_of(self.processes[0], user_id), conversation_id)
            assert [position for position, _, _ in found] == list(range(1, len(found) + 1))
            stored |= {item_id: text for _, item_id, text in found}
            assert len({item_id for _, item_id, _ in found}) == len(found)
        assert {item_id: stored.get(item_id) for item_id in self.acknowledged} == self.acknowledged
        assert stored.keys() - self.acknowledged.keys() <= self.given_up


@asynccontextmanager
async def load_on(database: MortalPostgres, url: str, folder: Path, **env: str) -> AsyncGenerator[Ledger]:
    """Two processes under load until the block is left; then everything is checked."""
    await migrate_url(database.url)
    env = {"DATABASE_WAKE_SECONDS": str(WAKE_SECONDS), **env}
    async with running_programs(2, url, folder, **env) as processes:
        ledger = Ledger(processes)
        await ledger.open()
        async with asyncio.TaskGroup() as together:
            for user_id in USERS:
                for number in range(WRITERS):
                    together.create_task(ledger.write(user_id, number))
            await ledger.progress()
            yield ledger
            ledger.is_over = True
        assert ledger.slowest < PATIENCE_SECONDS
        await ledger.check()


async def kill_and_start(database: MortalPostgres, ledger: Ledger) -> None:
    """Kill the server, let callers notice, and start it again."""
    await database.kill()
    await asyncio.gather(*(unready(service) for service in ledger.processes), answered_503(ledger))
    await database.start()


async def kill_and_start_at_once(database: MortalPostgres, ledger: Ledger) -> None:
    """Kill the server and start it again within the time that requests wait."""
    await database.kill()
    await database.start()


async def kill_a_backend(database: MortalPostgres, ledger: Ledger) -> None:
    """Kill one backend in the middle of its work: the server ends all connections and recovers by itself."""
    await database.kill_a_backend()


BLOWS: tuple[Callable[[MortalPostgres, Ledger], Awaitable[None]], ...] = (
    kill_and_start,
    kill_a_backend,
    kill_and_start_at_once,
    kill_a_backend,
    kill_and_start,
)


@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
async def test_no_acknowledged_write_is_lost(pooled: bool, tmp_path: Path) -> None:
    async with mortal_postgres(tmp_path / "data") as database:
        if not pooled:
            await strike(database, database.url, tmp_path, "off")
            return
        async with running_pgbouncer(tmp_path / "pgbouncer", database.url) as pooler:
            await strike(database, pooler.url(database.url), tmp_path, "on")


async def strike(database: MortalPostgres, url: str, folder: Path, pooler: str) -> None:
    async with load_on(database, url, folder, DATABASE_POOLER=pooler) as ledger:
        for blow in BLOWS:
            await blow(database, ledger)
            for service in ledger.processes:
                await ready(service, seconds=RECOVERY_SECONDS)
            await ledger.progress()
    assert ledger.failures["upstream_unavailable"], "callers have noticed"
    async with connected(database.url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM pg_prepared_xacts") == 0


async def unready(service: ServiceClient) -> None:
    async def is_unready() -> bool:
        return (await service.request("GET", "/readyz")).status == 503

    await eventually(is_unready, seconds=PATIENCE_SECONDS, what="readyz says so")
    await service.ping("/healthz")


async def answered_503(ledger: Ledger) -> None:
    """A plain read while the database stays away: a problem that says when to come back, within the bound."""
    token = signer("chat-service").sign("history-service", [CONVERSATIONS_READ], user_id="ann")
    async with asyncio.timeout(PATIENCE_SECONDS):
        headers = {"Authorization": f"Bearer {token}"}
        answer = await ledger.processes[0].request("GET", "/conversations", headers)
    assert (answer.status, json.loads(answer.content)["code"]) == (503, "upstream_unavailable")
    assert int(answer.header(b"retry-after") or 0) > 0
