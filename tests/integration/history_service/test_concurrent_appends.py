"""Appends from several processes, through several processes of the service, at the same time."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from history_client import UserHistory
from launcher.children import inherited_environment
from tests.integration.history_service.conftest import KEYS
from tests.integration.history_service.programs import log_of, running_programs, users_of
from tests.support.history import conversation_put

ROOT = Path(__file__).parents[3]
SERVICES, WRITERS, TASKS = 2, 3, 2

APPENDS = st.lists(st.tuples(st.integers(0, 15), st.sampled_from(["one", "other"])), min_size=3, max_size=12)
ROUNDS = st.lists(APPENDS, min_size=WRITERS * TASKS, max_size=WRITERS * TASKS)
"""For each task: which item, with which of two contents. The same items come up in several tasks."""

Append = tuple[str, str]


@dataclass
class Writer:
    """One process that appends."""

    process: Process

    async def append(self, user_id: str, conversation_id: str, tasks: list[list[Append]]) -> list[list[str | None]]:
        """Let it do its tasks at the same time; gives the code of each refusal, None for what was acknowledged."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        wanted = {"user_id": user_id, "conversation_id": conversation_id, "tasks": tasks}
        self.process.stdin.write(json.dumps(wanted).encode() + b"\n")
        return json.loads(await self.process.stdout.readline())


@dataclass
class System:
    """Several processes of the service on one database, and several writers."""

    alice: UserHistory
    writers: list[Writer]


@asynccontextmanager
async def running_writer(url: str) -> AsyncGenerator[Writer]:
    env = {**inherited_environment(), "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))}
    command = (sys.executable, "-m", "tests.support.history_writer")
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env=env, cwd=ROOT)
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps({"url": url, "key": KEYS["chat-service"][0]}).encode() + b"\n")
        yield Writer(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@pytest.fixture
async def system(database_url: str, tmp_path: Path) -> AsyncGenerator[System]:
    async with running_programs(SERVICES, database_url, tmp_path) as services, AsyncExitStack() as stack:
        urls = [services[number % SERVICES].url for number in range(WRITERS)]
        writers = [await stack.enter_async_context(running_writer(url)) for url in urls]
        yield System(users_of(services[0], "alice"), writers)


@given(tasks=ROUNDS)
@settings(
    max_examples=10,
    derandomize=True,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_positions_and_acknowledgements(system: System, tasks: list[list[Append]]) -> None:
    conversation = await system.alice.put_conversation(conversation_put())
    named = [[(f"msg_{number}", text) for number, text in task] for task in tasks]
    shares = [named[start::WRITERS] for start in range(WRITERS)]
    answers = await asyncio.gather(
        *(writer.append("alice", conversation.id, share) for writer, share in zip(system.writers, shares, strict=True))
    )

    sent = [append for share in shares for task in share for append in task]
    told = [code for answer in answers for codes in answer for code in codes]
    acknowledged = {append for append, code in zip(sent, told, strict=True) if code is None}
    refused = {append for append, code in zip(sent, told, strict=True) if code is not None}
    log = await log_of(system.alice, conversation.id)
    stored = [(item_id, text) for _, item_id, text in log]
    assert [position for position, _, _ in log] == list(range(1, len(log) + 1))
    assert len(stored) == len(dict(stored)) == len({item_id for item_id, _ in sent})
    assert acknowledged == set(stored), "one content of each id has won, and every acknowledged one is there"
    assert refused == set(sent) - acknowledged, "the same content is never refused, another one always is"
    assert set(told) <= {None, "item_conflict"}
