"""How a worker claims runs in a crowd: as many as it was woken for, in few requests, and no more than its share."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from agent_worker import execution, worker
from agent_worker.agent import run_agent
from contracts.redis_keys import RUNS_READY
from contracts.runs import Claim, Run
from history_client import WorkerHistoryClient
from launcher.ports import LOOPBACK, free_port
from tests.integration.agent_worker.conftest import Stage, script
from tests.support.models import calls, says, says_and_waits
from tests.support.servers import eventually

NO_POLLS: dict[str, Any] = {"worker_poll_seconds": 3600}
"""A worker polls once when it begins and then waits for wake-ups."""


class Counted(WorkerHistoryClient):
    """Notes how many runs each request asks for, and how many it brings."""

    def __init__(self, inner: WorkerHistoryClient) -> None:
        self.__dict__.update(inner.__dict__)
        self.asked: list[int] = []
        self.brought: list[int] = []

    async def claim_runs(self, worker_id: str, most: int) -> list[Claim]:
        self.asked.append(most)
        claims = await super().claim_runs(worker_id, most)
        self.brought.append(len(claims))
        return claims

    async def has_polled(self) -> None:
        await eventually(lambda: self.brought == [0], what="the first poll is answered")


async def wake(stage: Stage, *runs: Run) -> None:
    """Wake workers for all of these runs in one step, in the order in which the chat-service would."""
    await stage.redis.lpush(RUNS_READY, *(run.id for run in runs))


async def ask(stage: Stage, count: int) -> list[Run]:
    return [await stage.ask(f"Question {number}") for number in range(count)]


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "RUNS_AT_ONCE", 2)


async def test_a_burst_is_claimed_in_portions(stage: Stage) -> None:
    history = Counted(stage.worker_history)
    async with stage.worker(script(*(says("Hello.") for _ in range(3))), history=history, **NO_POLLS):
        await history.has_polled()
        runs = await ask(stage, 3)
        await wake(stage, *runs)
        assert {(await stage.end_of(run)).status for run in runs} == {"completed"}
    # Nothing was asked for twice: each wake-up's run was brought by one of the two claims.
    assert history.asked == [2, 2, 1]
    assert sum(history.brought) == 3


async def test_two_workers_share_a_burst(stage: Stage) -> None:
    waits = [says_and_waits("Well", asyncio.Event(), asyncio.Event()) for _ in range(4)]
    first, second = Counted(stage.worker_history), Counted(stage.worker_history)
    async with (
        stage.worker(script(*waits), history=first, **NO_POLLS) as one,
        stage.worker(script(*waits), history=second, **NO_POLLS) as other,
    ):
        await first.has_polled()
        await second.has_polled()
        await wake(stage, *await ask(stage, 4))
        await eventually(lambda: one.active_runs + other.active_runs == 4, what="all are claimed")
        assert (one.active_runs, other.active_runs) == (2, 2)


async def test_wake_ups_are_left_to_others_when_there_is_no_room(stage: Stage) -> None:
    release = asyncio.Event()
    waits = [says_and_waits("Well", asyncio.Event(), release) for _ in range(3)]
    history = Counted(stage.worker_history)
    async with stage.worker(script(*waits), history=history, worker_concurrency=2, **NO_POLLS) as busy:
        await history.has_polled()
        runs = await ask(stage, 3)
        await wake(stage, *runs)
        await eventually(lambda: busy.active_runs == 2, what="the worker is full")
        assert await stage.redis.lrange(RUNS_READY, 0, -1) == [runs[-1].id.encode()]
        release.set()
        await stage.end_of(runs[-1])
    assert history.asked == [1, 1, 1, 1], "never more than half of the room, the first poll included"


async def test_a_failed_claim_gives_all_its_room_back(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([RuntimeError("one"), RuntimeError("another"), RuntimeError("a third")])
    inner = stage.worker_history.claim_runs

    async def claim_runs(worker_id: str, most: int) -> list[Claim]:
        if (error := next(failures, None)) is not None:
            raise error
        return await inner(worker_id, most)

    monkeypatch.setattr(stage.worker_history, "claim_runs", claim_runs)
    runs = await ask(stage, 2)
    async with stage.worker(script(says("One."), says("Two.")), worker_concurrency=2):
        assert {(await stage.end_of(run)).status for run in runs} == {"completed"}


async def test_runs_that_begin_keep_others_from_being_claimed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    may_begin = asyncio.Event()

    async def begin_when_let(*args: Any, **settings: Any) -> Any:
        await may_begin.wait()
        seen.append("begun")
        return await run_agent(*args, **settings)

    class Noted(Counted):
        async def claim_runs(self, worker_id: str, most: int) -> list[Claim]:
            claims = await super().claim_runs(worker_id, most)
            seen.extend("claimed" for _ in claims)
            return claims

    monkeypatch.setattr(execution, "run_agent", begin_when_let)
    monkeypatch.setattr(worker, "STARTING_SECONDS", 3600)
    monkeypatch.setattr(worker, "RUNS_AT_ONCE", 1)
    history = Noted(stage.worker_history)
    runs = await ask(stage, 2)
    async with stage.worker(script(says("One."), says("Two.")), history=history, **NO_POLLS) as busy:
        await eventually(lambda: busy.active_runs == 1, what="the first is claimed")
        await asyncio.sleep(0.1)  # what is tested is that the poll which follows one that found a run waits
        may_begin.set()
        assert {(await stage.end_of(run)).status for run in runs} == {"completed"}
    assert seen == ["claimed", "begun", "claimed", "begun"]


async def test_runs_that_wait_for_their_tools_are_not_waited_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "STARTING_SECONDS", 0.05)
    runs = await ask(stage, 1)
    model = script(says("Never said."))
    broken = replace(stage, tools_url=f"http://{LOOPBACK}:{free_port()}")
    async with broken.worker(model, tool_patience_seconds=3600.0) as waiting:
        await eventually(lambda: waiting.active_runs == 1, what="the first is claimed")
        runs += await ask(stage, 1)
        await eventually(lambda: waiting.active_runs == 2, what="the second is claimed too")
    assert not model.calls


async def test_runs_of_one_agent_do_not_share_their_calls(stage: Stage) -> None:
    """Both models name their call alike; each run's own is executed."""
    steps = [calls("add_task", "call_1", title=title) for title in ("milk", "bread")]
    model = script(*steps, says("Done."), says("Done."))
    both_called = asyncio.Barrier(2)
    respond = model.stream_response

    async def respond_together(*args: Any, **settings: Any) -> Any:
        async for event in respond(*args, **settings):
            yield event
        if len(model.calls) <= 2:
            await both_called.wait()

    model.stream_response = respond_together  # pyright: ignore[reportAttributeAccessIssue]
    runs = await ask(stage, 2)
    async with stage.worker(model):
        assert {(await stage.end_of(run)).status for run in runs} == {"completed"}
    assert sorted(await stage.tasks()) == ["bread", "milk"]
    recorded = [call for run in runs for message in await stage.messages(run) for call in message.tool_calls]
    assert sorted(str(call.arguments["title"]) for call in recorded) == ["bread", "milk"]
