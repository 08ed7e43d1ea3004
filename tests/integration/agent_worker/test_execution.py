"""What comes of a run: its items, its events, its effects, however it ends."""

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest
from agents.testing import ModelStep
from httpx2 import Request
from openai import APIConnectionError
from redis.asyncio import Redis

from agent_worker import events, execution, takeover
from agent_worker.recorder import BAD_ARGUMENTS_OUTPUT, UNKNOWN_TOOL_OUTPUT
from agent_worker.takeover import earlier_frames
from contracts.conversations import ItemPut, JsonObject, ToolCall
from contracts.ids import new_id
from contracts.redis_keys import CONTROL_CANCEL, RUNS_READY, control_channel
from contracts.runs import Claim, RunItemsPut
from launcher.ports import LOOPBACK
from tests.integration.agent_worker.conftest import Stage, script
from tests.support.history import claim_one
from tests.support.models import calls, raw_call, says, says_and_waits
from tests.support.ports import free_port
from tests.support.publisher import RunPublisher
from tests.support.servers import eventually

QUICK_HEARTBEATS: JsonObject = {"run_lease_seconds": 6.0}
"""The worker renews three times a lease."""


async def test_text_and_tool_calls_are_stored_and_shown(stage: Stage) -> None:
    run = await stage.ask("Add milk and bread")
    model = script(
        [says("Two calls."), calls("add_task", "c1", title="milk"), calls("add_task", "c2", title="bread")],
        says("Both are there."),
    )
    async with stage.worker(model):
        assert (await stage.end_of(run)).status == "completed"
        await stage.last_event(run, "run.completed")
    messages = await stage.messages(run)
    assert [message.kind for message in messages] == [
        "user_message",
        "assistant_message",
        "widget",
        "widget",
        "assistant_message",
    ]
    assert [call.status for message in messages for call in message.tool_calls] == ["completed", "completed"]
    assert sorted(await stage.tasks()) == ["bread", "milk"]
    done = [event["item"]["id"] for event in await stage.events(run) if event["type"] == "thread.item.done"]
    assert sorted(done) == sorted(message.id for message in messages[1:])
    assert (await stage.history.get_conversation(run.conversation_id)).title == "Add milk and bread"


async def test_usage_is_kept(stage: Stage) -> None:
    run = await stage.ask()
    async with stage.worker(script(calls("list_tasks"), says("Nothing."))):
        ended = await stage.end_of(run)
    assert ended.usage is not None
    assert ended.usage.requests == 2


@pytest.mark.parametrize(
    ("call", "output"),
    [
        (raw_call("add_task", "{not json"), BAD_ARGUMENTS_OUTPUT),
        (raw_call("add_task", "[1]"), BAD_ARGUMENTS_OUTPUT),
        (raw_call("no_such_tool", "{}"), UNKNOWN_TOOL_OUTPUT),
    ],
)
async def test_a_call_that_cannot_be_made_is_told_to_the_model(stage: Stage, call: object, output: str) -> None:
    run = await stage.ask()
    async with stage.worker(script(call, says("I see."))):
        assert (await stage.end_of(run)).status == "completed"
    (made,) = [call for message in await stage.messages(run) for call in message.tool_calls]
    assert (made.status, made.output) == ("failed", output)


async def test_a_broken_model_fails_the_run_and_keeps_what_it_said(stage: Stage) -> None:
    spoken, release = asyncio.Event(), asyncio.Event()
    run = await stage.ask()
    async with stage.worker(script(says_and_waits("Half an ", spoken, release))):
        await asyncio.wait_for(spoken.wait(), 10)
        release.set()
        ended = await stage.end_of(run)
        await stage.last_event(run, "run.failed")
    assert ended.status == "failed"
    assert ended.error is not None
    assert ended.error.code == "model_error"
    last = (await stage.messages(run))[-1]
    assert (last.content, last.status) == ("Half an ", "incomplete")
    (error,) = [event for event in await stage.events(run) if event["type"] == "error"]
    assert error["allow_retry"] is True


async def test_an_exceptions_text_is_not_told(stage: Stage) -> None:
    run = await stage.ask()
    error = APIConnectionError(message="secret internals", request=Request("POST", "http://model"))
    async with stage.worker(script(ModelStep.raise_error(error))):
        ended = await stage.end_of(run)
        await stage.last_event(run, "run.failed")
    assert ended.error is not None
    assert ended.error.code == "model_unreachable"
    assert "secret" not in str(await stage.events(run)) + ended.model_dump_json()


async def test_a_cancelled_run_keeps_its_partial_text(stage: Stage) -> None:
    spoken, release = asyncio.Event(), asyncio.Event()
    run = await stage.ask()
    async with stage.worker(script(says_and_waits("Half an ", spoken, release)), **QUICK_HEARTBEATS):
        await asyncio.wait_for(spoken.wait(), 10)
        await stage.history.cancel_run(run.id)
        assert (await stage.end_of(run)).status == "cancelled"
        await stage.last_event(run, "run.cancelled")
    last = (await stage.messages(run))[-1]
    assert (last.content, last.status) == ("Half an ", "incomplete")


async def test_a_cancel_is_heard_before_the_next_heartbeat(stage: Stage) -> None:
    spoken, release = asyncio.Event(), asyncio.Event()
    run = await stage.ask()
    model = script(says_and_waits("Half an ", spoken, release))
    async with stage.worker(model, run_lease_seconds=3600):
        await asyncio.wait_for(spoken.wait(), 10)
        await stage.history.cancel_run(run.id)

        async def is_heard() -> bool:
            return await stage.redis.publish(control_channel(run.id), CONTROL_CANCEL) == 1

        await eventually(is_heard, what="the worker listens")
        assert (await stage.end_of(run)).status == "cancelled"


async def test_a_run_past_its_deadline_fails(stage: Stage) -> None:
    run = await stage.ask()
    model = script(says_and_waits("Half an ", asyncio.Event(), asyncio.Event()))
    async with stage.worker(model, run_timeout_seconds=0.2):
        ended = await stage.end_of(run)
    assert ended.error is not None
    assert ended.error.code == "deadline"


async def test_the_deadline_is_that_of_all_attempts_together(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def claim_an_hour_later(worker_id: str, most: int) -> list[Claim]:
        claims = await claim_runs(worker_id, most)
        return [claim.model_copy(update={"elapsed_seconds": 3600.0}) for claim in claims]

    claim_runs = stage.worker_history.claim_runs
    monkeypatch.setattr(stage.worker_history, "claim_runs", claim_an_hour_later)
    run = await stage.ask()
    async with stage.worker(script(says("Too late.")), run_timeout_seconds=3600):
        ended = await stage.end_of(run)
    assert ended.error is not None
    assert ended.error.code == "deadline"


async def test_a_newer_attempt_goes_on_without_redis(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "TAKE_OVER_SECONDS", 0.1)
    run = await stage.ask()
    assert await claim_one(stage.worker_history, "dead") is not None
    await stage.worker_history.release_run(run.id, 1)
    gone = f"redis://{LOOPBACK}:{free_port()}"
    async with stage.worker(script(says("Whole.")), redis_url=gone, event_delivery_seconds=0.1):
        ended = await stage.end_of(run)
    assert (ended.status, ended.attempt) == ("completed", 2)


async def test_late_frames_of_a_dead_attempt_are_withdrawn(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a zombie writes until the newer attempt has written is withdrawn before that speaks; the rest is refused."""
    run = await stage.ask()
    assert await claim_one(stage.worker_history, "dead") is not None
    await stage.worker_history.release_run(run.id, 1)
    zombie = RunPublisher(stage.redis, run.id)
    late = [events.assistant_item(new_id("msg"), run.conversation_id, "late") for _ in range(4)]
    model = script(says("Whole."))
    speaks_too_early = False

    async def claim_while_the_zombie_writes(worker_id: str, most: int) -> list[Claim]:
        claims = await claim_runs(worker_id, most)
        if claims:
            await zombie.publish(*({"type": "thread.item.added", "item": item} for item in late[:3]))
        return claims

    async def read_when_the_zombie_is_refused(redis: Redis, run_id: str, attempt: int) -> list[bytes]:
        nonlocal speaks_too_early
        with pytest.raises(AssertionError, match="a newer attempt has written"):
            await zombie.publish({"type": "thread.item.added", "item": late[3]})
        with suppress(AssertionError):  # the model must not be asked before this is over: there is nothing to wait for
            await eventually(lambda: bool(model.calls), seconds=0.3)
            speaks_too_early = True
        return await earlier_frames(redis, run_id, attempt)

    claim_runs = stage.worker_history.claim_runs
    monkeypatch.setattr(stage.worker_history, "claim_runs", claim_while_the_zombie_writes)
    monkeypatch.setattr(takeover, "earlier_frames", read_when_the_zombie_is_refused)
    monkeypatch.setattr(execution, "TAKE_OVER_SECONDS", 60.0)
    async with stage.worker(model):
        await stage.end_of(run)
        await stage.last_event(run, "run.completed")
    shown = await stage.events(run)
    assert [event["item_id"] for event in shown if event["type"] == "thread.item.removed"] == [
        item["id"] for item in late[:3]
    ]
    assert [event["item"]["id"] for event in shown if event["type"] == "thread.item.done"] == [
        message.id for message in (await stage.messages(run))[1:]
    ]
    assert not speaks_too_early


async def test_too_many_turns_fail_the_run(stage: Stage) -> None:
    run = await stage.ask()
    model = script(*(calls("list_tasks", f"c{turn}") for turn in range(3)))
    async with stage.worker(model, run_max_turns=2):
        ended = await stage.end_of(run)
    assert ended.error is not None
    assert ended.error.code == "max_turns"


async def test_a_retry_finishes_the_calls_that_a_dead_attempt_recorded(stage: Stage) -> None:
    run = await stage.ask("Add milk")
    dead = await claim_one(stage.worker_history, "dead")
    assert dead is not None
    item_id = new_id("msg")
    call = ToolCall(id="c1", name="add_task", arguments={"title": "milk"})
    put = ItemPut(payload=events.tool_item(item_id, run.conversation_id, call), tool_calls=[call])
    await stage.worker_history.put_run_items(run.id, RunItemsPut(attempt=1, items=[put]), token=dead.token)
    await stage.worker_history.release_run(run.id, 1)

    model = script(says("It is there."))
    async with stage.worker(model):
        ended = await stage.end_of(run)
    assert (ended.status, ended.attempt) == ("completed", 2)
    assert await stage.tasks() == ["milk"]
    assert [message.id for message in await stage.messages(run)][1] == item_id
    (seen,) = model.calls
    assert [item.get("type") for item in seen.input] == ["message", "function_call", "function_call_output"]
    assert "milk" in str(seen.input[2]["output"])


async def test_a_worker_that_shuts_down_gives_its_run_back(stage: Stage) -> None:
    spoken, release = asyncio.Event(), asyncio.Event()
    run = await stage.ask()
    async with stage.worker(script(says_and_waits("Half an ", spoken, release))):
        await asyncio.wait_for(spoken.wait(), 10)
    assert (await stage.history.get_run(run.id)).status == "queued"
    assert await stage.redis.lpop(RUNS_READY) == run.id.encode()

    async with stage.worker(script(says("Whole."))):
        assert (await stage.end_of(run)).attempt == 2
        await stage.last_event(run, "run.completed")
    assert [message.content for message in await stage.messages(run)] == ["Hello", "Whole."]
    shown = await stage.events(run)
    begun = [event["item"]["id"] for event in shown if event["type"] == "thread.item.added"]
    withdrawn = [event["item_id"] for event in shown if event["type"] == "thread.item.removed"]
    assert withdrawn == begun[:1]


async def test_another_worker_goes_on_at_once(stage: Stage) -> None:
    spoken = asyncio.Event()
    run = await stage.ask()
    leaving = stage.worker(script(says_and_waits("Half an ", spoken, asyncio.Event())))
    async with leaving, AsyncExitStack() as stack:
        await asyncio.wait_for(spoken.wait(), 10)
        # It asks once when it begins and then waits for a wake-up.
        await stack.enter_async_context(stage.worker(script(says("Whole.")), worker_poll_seconds=3600))
        staying = stack.pop_all()
    async with staying:
        assert (await stage.end_of(run)).attempt == 2


async def test_an_attempt_that_lost_its_lease_stops_and_stores_nothing(stage: Stage) -> None:
    spoken, release = asyncio.Event(), asyncio.Event()
    run = await stage.ask()
    model = script(says_and_waits("Zombie", spoken, release))
    async with stage.worker(model, worker_concurrency=1, **QUICK_HEARTBEATS) as worker:
        await asyncio.wait_for(spoken.wait(), 10)
        await stage.worker_history.release_run(run.id, 1)
        taken = await claim_one(stage.worker_history, "other")
        assert taken is not None
        assert taken.run.attempt == 2
        await eventually(lambda: worker.active_runs == 0, what="the first attempt stops")
    assert [message.content for message in await stage.messages(run)] == ["Hello"]
    assert (await stage.history.get_run(run.id)).status == "in_progress"


async def test_a_second_message_waits_for_the_first_answer(stage: Stage) -> None:
    first = await stage.ask("one")
    second = await stage.ask("two", first.conversation_id)
    async with stage.worker(script(says("1"), says("2"))):
        await stage.end_of(second)
    assert [message.content for message in await stage.messages(first)] == ["one", "two", "1", "2"]
