"""Runs that end without their worker: in every way there is, with nothing left in progress."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Literal

import pytest

from agent_worker.events import tool_item
from contracts.conversations import ItemPut, JsonObject, Message, ToolCall
from contracts.ids import new_id
from contracts.runs import Claim, Run
from history_client import HistoryClient, LeaseLostError, UserHistory, WorkerHistoryClient
from history_service.app import create_app
from history_service.openai_projection.drawing import GIVEN_UP_OUTPUT
from history_service.services.endings import MAX_ENDED
from history_service.services.run_sweep import RunSweep, run_jobs
from history_service.settings import Settings
from history_service.storage.leases import LeaseStore
from history_service.storage.roles import DISPATCH_ROLE
from launcher.sql import connected
from service_kit.database import Database, open_database
from service_kit.service_client import open_service
from service_kit.sweeper import Sweeper
from tests.integration.history_service.conftest import signer
from tests.integration.history_service.test_runs import claimed, expire_lease
from tests.support.history import assistant_message, claim_one, conversation_put, finish, item, items_put, run_create
from tests.support.servers import eventually, serve
from tests.support.sql import rows_of

RUNNING = ToolCall(id="call_1", name="add_task", arguments={"title": "milk"})
DONE = ToolCall(id="call_2", name="list_tasks", output="[]", status="completed")
FAILED = RUNNING.model_copy(update={"output": GIVEN_UP_OUTPUT, "status": "failed"})
HOUR = timedelta(hours=1)


@pytest.fixture
async def database(settings: Settings) -> AsyncGenerator[Database]:
    async with open_database(settings) as database:
        yield database


@pytest.fixture
def sweeper(settings: Settings, database: Database) -> Sweeper:
    """The service's sweeper of runs, run by hand."""
    return Sweeper(run_jobs(settings, database), interval_seconds=3600)


async def age(admin_url: str, run_id: str) -> None:
    """Let a run have been created an hour earlier."""
    async with connected(admin_url) as connection:
        aged = "UPDATE history.runs SET created_at = created_at - $2::interval WHERE id = $1"
        assert await connection.execute(aged, run_id, HOUR) == "UPDATE 1"


async def started(user: UserHistory, worker: WorkerHistoryClient) -> Claim:
    """A run in a conversation of its own, claimed."""
    conversation_id = new_id("thr")
    new = run_create(conversation_id, new=True)
    await user.create_run(conversation_id, new)
    return await claimed(worker, new.id)


async def put_calls(worker: WorkerHistoryClient, claim: Claim) -> list[JsonObject]:
    """Store a card of the worker's, another widget with two calls, and a call for the browser; returns the payloads."""
    thread_id = claim.conversation.id
    card = tool_item(new_id("tc"), thread_id, RUNNING)
    other = item(thread_id, "widget", widget={"type": "Card", "children": []}, copy_text=None)
    browsers = item(thread_id, "client_tool_call", status="pending", call_id="call_3", name="pick", arguments={})
    puts = (ItemPut(payload=card, tool_calls=[RUNNING]), ItemPut(payload=other, tool_calls=[DONE, RUNNING]), browsers)
    await worker.put_run_items(claim.run.id, items_put(claim.run.attempt, *puts), token=claim.token)
    return [card, other, browsers]


Way = Literal["claim", "sweep", "unwanted", "expired", "expired queued", "cancel", "cancel released", "release"]


async def end(
    way: Way, claim: Claim, alice: UserHistory, worker: WorkerHistoryClient, sweeper: Sweeper, admin_url: str
) -> None:
    """End the run of a claim, whose worker is gone."""
    run_id = claim.run.id
    if way in ("unwanted", "release"):
        await alice.cancel_run(run_id)
    if way in ("release", "cancel released", "expired queued"):
        await worker.release_run(run_id, claim.run.attempt)
    else:
        await expire_lease(admin_url, run_id)
    if way in ("claim", "sweep"):
        for attempt in (2, 3):
            assert (await claimed(worker, run_id)).run.attempt == attempt
            await expire_lease(admin_url, run_id)
    if way in ("expired", "expired queued"):
        await age(admin_url, run_id)
    if way in ("cancel", "cancel released"):
        await alice.cancel_run(run_id)
    elif way == "claim":
        assert await claim_one(worker, "another") is None
    else:
        await sweeper.sweep()


@pytest.mark.parametrize(
    ("way", "status", "code"),
    [
        ("claim", "failed", "max_attempts"),
        ("sweep", "failed", "max_attempts"),
        ("unwanted", "cancelled", None),
        ("expired", "failed", "expired"),
        ("expired queued", "failed", "expired"),
        ("cancel", "cancelled", None),
        ("cancel released", "cancelled", None),
        ("release", "cancelled", None),
    ],
)
async def test_no_tool_call_stays_in_progress(
    alice: UserHistory,
    worker: WorkerHistoryClient,
    sweeper: Sweeper,
    admin_database_url: str,
    way: Way,
    status: str,
    code: str | None,
) -> None:
    claim = await started(alice, worker)
    card, other, browsers = await put_calls(worker, claim)
    newer = await alice.put_conversation(conversation_put())

    await end(way, claim, alice, worker, sweeper, admin_database_url)

    run = await alice.get_run(claim.run.id)
    assert (run.status, run.error and run.error.code) == (status, code)
    assert run.error is None or run.error.allow_retry
    assert run.finished_at is not None
    _, one, two, three = (await alice.list_messages(claim.conversation.id)).data
    assert (one.tool_calls, two.tool_calls) == ([FAILED], [DONE, FAILED])
    assert await alice.get_item(one.conversation_id, one.id) == tool_item(card["id"], card["thread_id"], FAILED)
    assert await alice.get_item(two.conversation_id, two.id) == other, "a widget that is not ours is not drawn anew"
    assert await alice.get_item(three.conversation_id, three.id) == browsers
    assert [call.status for call in three.tool_calls] == ["in_progress"], "the browser may still answer"
    conversations = (await alice.list_conversations()).data
    assert [conversation.id for conversation in conversations] == [claim.conversation.id, newer.id]
    assert await alice.cancel_run(run.id) == run, "what has ended stays as it is"


async def test_ending_others_runs_leaves_the_claim_what_it_was(
    alice: UserHistory, bob: UserHistory, worker: WorkerHistoryClient, admin_database_url: str
) -> None:
    """A claim ends abandoned runs as their users, and goes on as the dispatcher, for whom those are the same."""
    for user in (alice, bob):
        claim = await started(user, worker)
        await put_calls(worker, claim)
        await user.cancel_run(claim.run.id)
        await expire_lease(admin_database_url, claim.run.id)
    behind = run_create(claim.conversation.id)
    await bob.create_run(claim.conversation.id, behind)
    assert (await claimed(worker, behind.id)).run.user_id == "bob"


async def test_the_sweeper_leaves_to_workers_what_they_may_still_do(
    alice: UserHistory, worker: WorkerHistoryClient, sweeper: Sweeper, admin_database_url: str
) -> None:
    retried = await started(alice, worker)
    held = await started(alice, worker)
    unwanted = await started(alice, worker)
    await alice.cancel_run(unwanted.run.id)
    conversation_id = new_id("thr")
    queued = (await alice.create_run(conversation_id, run_create(conversation_id, new=True))).run
    await expire_lease(admin_database_url, retried.run.id)
    await age(admin_database_url, held.run.id)
    cards = await put_calls(worker, held)

    await sweeper.sweep()

    runs = [await alice.get_run(run_id) for run_id in (retried.run.id, held.run.id, unwanted.run.id, queued.id)]
    assert [run.status for run in runs] == ["in_progress"] * 3 + ["queued"]
    assert (await alice.list_items(held.conversation.id)).data[1:] == cards


async def test_without_any_worker_left_a_run_ends_by_itself(settings: Settings, admin_database_url: str) -> None:
    quick = settings.model_copy(update={"run_sweep_seconds": 0.05, "run_max_attempts": 1})
    async with serve(create_app(quick)) as url, open_service(url) as service:
        alice = HistoryClient(service, signer("chat-service")).as_user("alice")
        worker = WorkerHistoryClient(service, signer("agent-worker"))
        claim = await started(alice, worker)
        await put_calls(worker, claim)
        await expire_lease(admin_database_url, claim.run.id)

        async def is_over() -> bool:
            return (await alice.get_run(claim.run.id)).status == "failed"

        await eventually(is_over, what="the run has failed")
        calls = [call for message in await messages(alice, claim) for call in message.tool_calls]
        assert [call.status for call in calls if call.id != "call_3"] == ["failed", "completed", "failed"]


async def messages(user: UserHistory, claim: Claim) -> list[Message]:
    return (await user.list_messages(claim.conversation.id)).data


async def test_several_sweepers_end_each_run_once(
    settings: Settings, database: Database, admin_database_url: str
) -> None:
    """More runs than fit into two batches, of two users, all of them abandoned."""
    count = 2 * MAX_ENDED + 5
    async with connected(admin_database_url) as connection:
        await connection.execute(
            f"""
            INSERT INTO history.conversations (id, user_id, status, metadata, created_at, updated_at)
            SELECT 'thr_' || c, 'user-' || c % 2, '{{}}', '{{}}', now(), now() FROM generate_series(1, {count}) AS c;
            INSERT INTO history.runs (id, conversation_id, user_id, message_position, status, attempt, lease_expires_at)
            SELECT 'run_' || c, 'thr_' || c, 'user-' || c % 2, 1, 'in_progress', 3, now()
            FROM generate_series(1, {count}) AS c
            """  # noqa: S608 - a number
        )
    sweep = RunSweep(database, settings)
    swept = [await sweep.end_abandoned()]
    assert (swept[0].rows, swept[0].more) == (MAX_ENDED, True)
    swept += await asyncio.gather(*(RunSweep(database, settings).end_abandoned() for _ in range(4)))
    swept.append(await sweep.end_abandoned())
    assert sum(batch.rows for batch in swept) == count
    assert not swept[-1].more
    (left,) = await rows_of(admin_database_url, "SELECT count(*) AS n FROM history.runs WHERE status <> 'failed'")
    assert left == {"n": 0}


async def test_a_run_without_attempts_left_is_not_claimed(
    alice: UserHistory, worker: WorkerHistoryClient, database: Database, admin_database_url: str
) -> None:
    """Whoever was to end it had to pass over it; the claim itself refuses it too."""
    claim = await started(alice, worker)
    await expire_lease(admin_database_url, claim.run.id)
    async with database.transaction(DISPATCH_ROLE) as transaction:
        assert await LeaseStore(transaction).claim("another", HOUR, 1, 1) == []
    await alice.cancel_run(claim.run.id)


async def test_a_worker_that_comes_too_late_is_told_that_its_text_was_not_stored(
    alice: UserHistory, worker: WorkerHistoryClient, admin_database_url: str
) -> None:
    claim = await started(alice, worker)
    await expire_lease(admin_database_url, claim.run.id)
    cancelled = await alice.cancel_run(claim.run.id)
    partial = assistant_message(claim.conversation.id, "So f")
    for status in ("cancelled", "completed"):
        with pytest.raises(LeaseLostError, match="attempt_stale"):
            await worker.finish_run(claim.run.id, finish(1, partial, status=status), token=claim.token)
    assert len(await messages(alice, claim)) == 1
    assert await alice.get_run(claim.run.id) == cancelled


@pytest.mark.parametrize("is_worker_late", [False, True])
async def test_cancel_and_finish_at_the_same_moment_agree(
    alice: UserHistory, worker: WorkerHistoryClient, admin_database_url: str, is_worker_late: bool
) -> None:
    for _ in range(8):
        claim = await started(alice, worker)
        if is_worker_late:
            await expire_lease(admin_database_url, claim.run.id)
        answer = assistant_message(claim.conversation.id)
        finished, *cancels = await asyncio.gather(
            worker.finish_run(claim.run.id, finish(1, answer), token=claim.token),
            *(alice.cancel_run(claim.run.id) for _ in range(3)),
            return_exceptions=True,
        )
        run = await alice.get_run(claim.run.id)
        stored = (await alice.list_items(claim.conversation.id)).data[1:]
        if isinstance(finished, BaseException):
            assert isinstance(finished, LeaseLostError)
            assert (is_worker_late, run.status, stored) == (True, "cancelled", [])
        else:
            assert (run, run.status, stored) == (finished, "completed", [answer])
        told = {cancel.status for cancel in cancels if isinstance(cancel, Run)}
        assert len(cancels) == 3
        assert told <= {run.status, "in_progress"}
        assert await alice.cancel_run(claim.run.id) == run
