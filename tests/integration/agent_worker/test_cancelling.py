"""Cancelling: what is really stopped, and what is kept."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal, cast

import asyncpg
import pytest
from pydantic import SecretStr

from agent_worker.models.provider import open_model
from agent_worker.recorder import CANCELLED_OUTPUT
from agent_worker.settings import Settings
from contracts.conversations import JsonObject
from contracts.redis_keys import CONTROL_CANCEL, control_channel
from contracts.runs import Claim, Run
from history_client import WorkerHistoryClient
from launcher.ports import LOOPBACK
from tests.integration.agent_worker.conftest import Stage, script
from tests.support.model_server import WORDS, create_model_server
from tests.support.models import calls, says, says_and_waits
from tests.support.ports import free_port
from tests.support.servers import eventually, serve

NO_HEARTBEATS: JsonObject = {"run_lease_seconds": 3600}
"""What a worker with such leases hears in time, it hears on the control channel."""

QUICK_HEARTBEATS: JsonObject = {"run_lease_seconds": 1.5}
"""The worker renews three times a lease; the history-service's own leases are longer."""

WAIT_SECONDS = 10


async def cancel(stage: Stage, run: Run) -> None:
    """Cancel as the chat-service does: the row first, then a message to the run's worker."""
    await stage.history.cancel_run(run.id)

    async def is_heard() -> bool:
        return await stage.redis.publish(control_channel(run.id), CONTROL_CANCEL) > 0

    await eventually(is_heard, what="the worker listens")


@asynccontextmanager
async def locked_tasks(stage: Stage) -> AsyncGenerator[None]:
    """Make every tool call wait."""
    connection = cast("Any", await asyncpg.connect(stage.database_url))  # pyright: ignore[reportUnknownMemberType]
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE tasks.tasks IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


@pytest.mark.parametrize("api", ["chat_completions", "responses"])
async def test_the_models_connection_is_closed(stage: Stage, api: Literal["chat_completions", "responses"]) -> None:
    hung_up = asyncio.Event()
    run = await stage.ask("Add a task to buy milk")

    async def first_word_is_shown() -> bool:
        return any(WORDS[0] in str(event) for event in await stage.events(run))

    async with serve(create_model_server([], asyncio.Event(), hung_up)) as url:
        settings = Settings(
            model_provider="compatible",
            model="stub",
            model_base_url=f"{url}/v1",
            model_api_key=SecretStr("model-key"),
            model_api=api,
        )
        async with open_model(settings) as model, stage.worker(model, **NO_HEARTBEATS):
            await eventually(first_word_is_shown, what="the model has begun")
            await cancel(stage, run)
            await asyncio.wait_for(hung_up.wait(), WAIT_SECONDS)
            assert (await stage.end_of(run)).status == "cancelled"
    last = (await stage.messages(run))[-1]
    assert (last.content, last.status) == (WORDS[0], "incomplete")


async def test_repeated_cancels_are_one(stage: Stage) -> None:
    spoken = asyncio.Event()
    run = await stage.ask()
    async with stage.worker(script(says_and_waits("Half an ", spoken, asyncio.Event())), **NO_HEARTBEATS):
        await asyncio.wait_for(spoken.wait(), WAIT_SECONDS)
        for _ in range(3):
            await cancel(stage, run)
        assert (await stage.end_of(run)).status == "cancelled"
        await stage.last_event(run, "run.cancelled")
        await cancel(stage, run)
    shown = [event["type"] for event in await stage.events(run)]
    assert shown.count("run.cancelled") == 1
    assert shown[-3:] == ["thread.item.done", "thread.updated", "run.cancelled"]


async def test_a_tool_call_under_way_is_given_up(stage: Stage) -> None:
    run = await stage.ask()

    async def call_is_shown() -> bool:
        return any(event["type"] == "thread.item.added" for event in await stage.events(run))

    model = script(calls("add_task", "c1", title="milk"), says("Done."))
    async with locked_tasks(stage), stage.worker(model, **NO_HEARTBEATS):
        await eventually(call_is_shown, what="the call is recorded")
        await cancel(stage, run)
        assert (await stage.end_of(run)).status == "cancelled"
    (call,) = [call for message in await stage.messages(run) for call in message.tool_calls]
    assert (call.status, call.output) == ("failed", CANCELLED_OUTPUT)


async def test_without_redis_a_heartbeat_tells(stage: Stage) -> None:
    spoken = asyncio.Event()
    run = await stage.ask()
    model = script(says_and_waits("Half an ", spoken, asyncio.Event()))
    gone = f"redis://{LOOPBACK}:{free_port()}"
    async with stage.worker(model, redis_url=gone, event_delivery_seconds=0.1, **QUICK_HEARTBEATS):
        await asyncio.wait_for(spoken.wait(), WAIT_SECONDS)
        await stage.history.cancel_run(run.id)
        assert (await stage.end_of(run)).status == "cancelled"
    assert (await stage.messages(run))[-1].content == "Half an "


class HeldAnswers(WorkerHistoryClient):
    """Holds the answer to a claim until it is let go."""

    def __init__(self, inner: WorkerHistoryClient) -> None:
        self.__dict__.update(inner.__dict__)
        self.has_claimed, self.go_on = asyncio.Event(), asyncio.Event()

    async def claim_runs(self, worker_id: str, most: int) -> list[Claim]:
        claims = await super().claim_runs(worker_id, most)
        if claims:
            self.has_claimed.set()
            await self.go_on.wait()
        return claims


async def test_a_cancel_during_the_claim_is_heard(stage: Stage) -> None:
    first, held = await stage.ask(), HeldAnswers(stage.worker_history)
    held.go_on.set()
    spoken = asyncio.Event()
    model = script(*(says_and_waits("Half an ", event, asyncio.Event()) for event in (spoken, asyncio.Event())))
    async with stage.worker(model, history=held, **NO_HEARTBEATS):
        await asyncio.wait_for(spoken.wait(), WAIT_SECONDS)
        held.has_claimed.clear()
        held.go_on.clear()
        second = await stage.ask()
        await asyncio.wait_for(held.has_claimed.wait(), WAIT_SECONDS)
        await cancel(stage, second)
        # One connection carries both: when the worker has heard the other one, it has heard this one.
        await cancel(stage, first)
        assert (await stage.end_of(first)).status == "cancelled"
        held.go_on.set()
        assert (await stage.end_of(second)).status == "cancelled"


async def test_a_claim_under_way_at_shutdown_gives_its_run_back(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    run = await stage.ask()
    history = HeldAnswers(stage.worker_history)
    async with stage.worker(script(says("Never said.")), history=history) as worker:
        await asyncio.wait_for(history.has_claimed.wait(), WAIT_SECONDS)
        drain = worker.drain

        async def drain_until_the_answer_comes(seconds: float) -> None:
            asyncio.get_running_loop().call_soon(history.go_on.set)
            await drain(seconds)

        monkeypatch.setattr(worker, "drain", drain_until_the_answer_comes)
    assert (await stage.history.get_run(run.id)).status == "queued"


async def test_a_cancel_at_the_end_changes_nothing(stage: Stage) -> None:
    run = await stage.ask()
    async with stage.worker(script(says("Whole.")), **NO_HEARTBEATS):
        assert (await stage.end_of(run)).status == "completed"
        await cancel(stage, run)
        await stage.last_event(run, "run.completed")
    last = (await stage.messages(run))[-1]
    assert (last.content, last.status) == ("Whole.", "completed")
