"""Runs: made with their message, claimed, written by one attempt at a time, ended."""

import asyncio
from datetime import UTC, datetime
from typing import Literal

import pytest

from contracts.conversations import ToolCall
from contracts.ids import new_id
from contracts.runs import Claim, RunCreate, RunError, RunUsage
from history_client import (
    HistoryConflictError,
    HistoryForbiddenError,
    HistoryInvalidError,
    HistoryNotFoundError,
    LeaseLostError,
    UserHistory,
    WorkerHistoryClient,
)
from launcher.sql import connected
from tests.support.history import (
    assistant_message,
    claim_one,
    conversation_put,
    finish,
    items_put,
    run_create,
    tool_widget,
    user_message,
)


async def expire_lease(admin_url: str, run_id: str) -> None:
    """Let the lease of a run have ended, as if its worker had died some time ago."""
    async with connected(admin_url) as connection:
        expired = "UPDATE history.runs SET lease_expires_at = now() - interval '1 ms' WHERE id = $1"
        assert await connection.execute(expired, run_id) == "UPDATE 1"


async def claimed(worker: WorkerHistoryClient, run_id: str | None = None) -> Claim:
    claim = await claim_one(worker, "worker-1")
    assert claim is not None
    assert run_id in (None, claim.run.id)
    return claim


async def test_run_is_created_with_conversation_and_message_in_one_step(alice: UserHistory) -> None:
    conversation_id = new_id("thr")
    new = run_create(conversation_id, new=True)
    created = await alice.create_run(conversation_id, new)
    assert created.item == new.item
    assert (created.run.status, created.run.attempt, created.run.user_id) == ("queued", 0, "alice")
    assert (await alice.list_items(conversation_id)).data == [new.item]
    assert await alice.get_run(new.id) == created.run


async def test_nothing_is_stored_of_a_run_that_is_refused(alice: UserHistory, bob: UserHistory) -> None:
    conversation_id = new_id("thr")
    taken = run_create(conversation_id, new=True)
    await alice.create_run(conversation_id, taken)

    theirs = new_id("thr")
    with pytest.raises(HistoryForbiddenError, match="run_forbidden"):
        await bob.create_run(theirs, run_create(theirs, new=True).model_copy(update={"id": taken.id}))
    with pytest.raises(HistoryNotFoundError, match="conversation_not_found"):
        await bob.get_conversation(theirs)


async def test_creating_a_run_again_changes_nothing(alice: UserHistory) -> None:
    conversation_id = new_id("thr")
    new = run_create(conversation_id, new=True)
    answers = await asyncio.gather(*(alice.create_run(conversation_id, new) for _ in range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert (await alice.list_items(conversation_id)).data == [new.item]
    assert [run.id for run in (await alice.list_runs(conversation_id)).data] == [new.id]

    other = new_id("thr")
    with pytest.raises(HistoryConflictError, match="run_conflict"):
        await alice.create_run(other, run_create(other, new=True).model_copy(update={"id": new.id}))


async def test_a_retry_deletes_what_followed_with_its_run_or_not_at_all(alice: UserHistory) -> None:
    thread = new_id("thr")
    first = run_create(thread, new=True)
    await alice.create_run(thread, first)
    asked = (await alice.list_items(thread)).data[0]["id"]
    for text in ("Hi", "there"):
        await alice.append_item(thread, assistant_message(thread, text))
    with pytest.raises(HistoryNotFoundError, match="item_not_found"):
        await alice.create_run(thread, RunCreate(id=new_id("run"), retry_after=new_id("msg")))
    assert len((await alice.list_items(thread)).data) == 3

    retry = RunCreate(id=new_id("run"), retry_after=asked)
    await alice.create_run(thread, retry)
    assert [item["id"] for item in (await alice.list_items(thread)).data] == [asked]
    await alice.append_item(thread, assistant_message(thread, "Better"))
    await alice.create_run(thread, retry)
    assert len((await alice.list_items(thread)).data) == 2, "the same again changes nothing"


async def test_a_run_cannot_be_made_where_it_does_not_belong(alice: UserHistory, bob: UserHistory) -> None:
    mine, unknown = (await alice.put_conversation(conversation_put())).id, new_id("thr")
    with pytest.raises(HistoryForbiddenError, match="conversation_forbidden"):
        await bob.create_run(mine, run_create(mine))
    with pytest.raises(HistoryForbiddenError, match="conversation_forbidden"):
        await bob.create_run(mine, run_create(mine, new=True))
    with pytest.raises(HistoryNotFoundError, match="conversation_not_found"):
        await bob.create_run(unknown, run_create(unknown))
    with pytest.raises(HistoryInvalidError, match="invalid_request"):
        await alice.create_run(mine, run_create(unknown, new=True))

    message = user_message(mine)
    await alice.put_item(mine, message["id"], message)
    with pytest.raises(HistoryConflictError, match="item_conflict"):
        await alice.create_run(mine, RunCreate(id=new_id("run"), item=message))
    assert (await alice.list_runs(mine)).data == []


async def test_a_run_is_claimed_fed_and_finished(alice: UserHistory, worker: WorkerHistoryClient) -> None:
    conversation_id = new_id("thr")
    new = run_create(conversation_id, "Add milk", new=True)
    await alice.create_run(conversation_id, new)

    claim = await claimed(worker, new.id)
    assert (claim.run.status, claim.run.attempt, claim.conversation.id) == ("in_progress", 1, conversation_id)
    assert claim.run.started_at is not None
    assert claim.lease_expires_at > datetime.now(UTC)
    assert [(message.role, message.content) for message in claim.context] == [("user", "Add milk")]
    assert claim.context[0].run_id is None

    call = ToolCall(id="call_1", name="add_task", arguments={"title": "milk"})
    widget = tool_widget(conversation_id, call, "msg_widget")
    await worker.put_run_items(new.id, items_put(1, widget), token=claim.token)
    answer = assistant_message(conversation_id, "Done")
    done = call.model_copy(update={"output": "{}", "status": "completed"})
    ended = finish(
        1, tool_widget(conversation_id, done, "msg_widget"), answer, title="Milk", usage=RunUsage(total_tokens=7)
    )
    run = await worker.finish_run(new.id, ended, token=claim.token)
    assert (run.status, run.usage, run.error) == ("completed", RunUsage(total_tokens=7), None)
    assert run.finished_at is not None
    assert await worker.finish_run(new.id, ended, token=claim.token) == run, "a repetition changes nothing"

    assert (await alice.get_conversation(conversation_id)).title == "Milk"
    messages = (await alice.list_messages(conversation_id)).data
    assert [message.kind for message in messages] == ["user_message", "widget", "assistant_message"]
    assert [message.run_id for message in messages] == [None, new.id, new.id]
    assert messages[1].tool_calls == [done]
    assert await claim_one(worker, "worker-1") is None


async def test_a_title_is_given_only_once(alice: UserHistory, worker: WorkerHistoryClient) -> None:
    conversation = await alice.put_conversation(conversation_put(title="Mine"))
    await alice.create_run(conversation.id, run_create(conversation.id))
    claim = await claimed(worker)
    await worker.finish_run(claim.run.id, finish(1, title="Generated"), token=claim.token)
    assert (await alice.get_conversation(conversation.id)).title == "Mine"


async def test_many_workers_claim_each_run_once_and_conversations_in_order(
    alice: UserHistory, bob: UserHistory, worker: WorkerHistoryClient
) -> None:
    queued: dict[str, list[str]] = {}
    for user in (alice, bob, alice):
        conversation_id = new_id("thr")
        runs = [run_create(conversation_id, new=True) for _ in range(4)]
        for run in runs:
            await user.create_run(conversation_id, run)
        queued[conversation_id] = [run.id for run in runs]

    started: list[tuple[str, str]] = []
    active: set[str] = set()

    async def work(name: str) -> None:
        while len(started) < 12:
            claim = await claim_one(worker, name)
            if claim is None:
                continue
            assert claim.conversation.id not in active, "one run of a conversation at a time"
            active.add(claim.conversation.id)
            started.append((claim.conversation.id, claim.run.id))
            active.remove(claim.conversation.id)
            await worker.finish_run(claim.run.id, finish(1), token=claim.token)

    async with asyncio.timeout(30):
        await asyncio.gather(*(work(f"worker-{number}") for number in range(8)))
    by_conversation = {name: [run for where, run in started if where == name] for name in queued}
    assert by_conversation == queued


async def test_claims_at_the_same_moment_get_different_runs(alice: UserHistory, worker: WorkerHistoryClient) -> None:
    for _ in range(6):
        conversation_id = new_id("thr")
        for _ in range(2):
            await alice.create_run(conversation_id, run_create(conversation_id, new=True))
    claims = await asyncio.gather(*(claim_one(worker, f"worker-{number}") for number in range(16)))
    got = [claim for claim in claims if claim is not None]
    assert len({claim.run.id for claim in got}) == len(got)
    assert len({claim.conversation.id for claim in got}) == len(got)
    while (claim := await claim_one(worker, "late")) is not None:
        got.append(claim)
    assert len(got) == 6


async def test_an_expired_lease_is_taken_over_and_the_old_attempt_fenced(
    alice: UserHistory, worker: WorkerHistoryClient, admin_database_url: str
) -> None:
    conversation_id = new_id("thr")
    await alice.create_run(conversation_id, run_create(conversation_id, new=True))
    first = await claimed(worker)
    stored = assistant_message(conversation_id, "half")
    await worker.put_run_items(first.run.id, items_put(1, stored), token=first.token)
    assert await claim_one(worker, "worker-2") is None, "the lease is alive"

    await expire_lease(admin_database_url, first.run.id)
    second = await claimed(worker, first.run.id)
    assert second.run.attempt == 2
    assert second.run.started_at == first.run.started_at
    assert [message.id for message in second.context][1:] == [stored["id"]], "a retry resumes"
    assert second.context[-1].run_id == first.run.id

    zombie = assistant_message(conversation_id, "zombie")
    for call in (
        worker.put_run_items(first.run.id, items_put(1, zombie), token=first.token),
        worker.finish_run(first.run.id, finish(1, zombie), token=first.token),
        worker.heartbeat(first.run.id, 1),
        worker.release_run(first.run.id, 1),
    ):
        with pytest.raises(LeaseLostError) as error:
            await call
        assert error.value.code in {"attempt_stale", "lease_lost"}
    assert zombie not in (await alice.list_items(conversation_id)).data
    await worker.finish_run(first.run.id, finish(2), token=second.token)
    with pytest.raises(LeaseLostError, match="attempt_stale"):
        await worker.put_run_items(first.run.id, items_put(2, zombie), token=second.token)
    with pytest.raises(LeaseLostError, match="run_finished"):
        await worker.finish_run(first.run.id, finish(2, status="failed"), token=second.token)


async def test_a_heartbeat_renews_lease_and_token(
    alice: UserHistory, worker: WorkerHistoryClient, admin_database_url: str
) -> None:
    conversation_id = new_id("thr")
    await alice.create_run(conversation_id, run_create(conversation_id, new=True))
    claim = await claimed(worker)
    await expire_lease(admin_database_url, claim.run.id)
    lease = await worker.heartbeat(claim.run.id, 1)
    assert lease.lease_expires_at > claim.lease_expires_at
    assert lease.cancel_requested is False
    assert await claim_one(worker, "worker-2") is None
    await worker.finish_run(claim.run.id, finish(1), token=lease.token)
    with pytest.raises(LeaseLostError, match="lease_lost"):
        await worker.heartbeat(claim.run.id, 1)


async def test_a_released_run_is_claimed_at_once(alice: UserHistory, worker: WorkerHistoryClient) -> None:
    conversation_id = new_id("thr")
    await alice.create_run(conversation_id, run_create(conversation_id, new=True))
    claim = await claimed(worker)
    await worker.release_run(claim.run.id, 1)
    run = await alice.get_run(claim.run.id)
    assert (run.status, run.attempt) == ("queued", 1)
    assert (await claimed(worker, claim.run.id)).run.attempt == 2


async def test_attempts_that_were_given_back_do_not_count(
    alice: UserHistory, worker: WorkerHistoryClient, admin_database_url: str
) -> None:
    conversation_id = new_id("thr")
    new = run_create(conversation_id, new=True)
    await alice.create_run(conversation_id, new)
    for attempt in range(1, 4):
        await claimed(worker, new.id)
        await worker.release_run(new.id, attempt)
    for attempt in range(4, 7):
        assert (await claimed(worker, new.id)).run.attempt == attempt
        await expire_lease(admin_database_url, new.id)
    assert await claim_one(worker, "worker-1") is None
    assert (await alice.get_run(new.id)).status == "failed"


async def test_a_run_that_loses_every_worker_fails_and_frees_the_next(
    alice: UserHistory, worker: WorkerHistoryClient, admin_database_url: str
) -> None:
    conversation_id = new_id("thr")
    lost, next_run = [run_create(conversation_id, new=True) for _ in range(2)]
    for new in (lost, next_run):
        await alice.create_run(conversation_id, new)
    for attempt in (1, 2, 3):
        assert (await claimed(worker, lost.id)).run.attempt == attempt
        await expire_lease(admin_database_url, lost.id)

    await claimed(worker, next_run.id)
    failed = await alice.get_run(lost.id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert (failed.error.code, failed.error.allow_retry) == ("max_attempts", True)
    assert failed.finished_at is not None


async def test_a_failed_run_keeps_its_error(alice: UserHistory, worker: WorkerHistoryClient) -> None:
    conversation_id = new_id("thr")
    await alice.create_run(conversation_id, run_create(conversation_id, new=True))
    claim = await claimed(worker)
    error = RunError(code="model_failed", message="The model failed.", allow_retry=False)
    await worker.finish_run(claim.run.id, finish(1, status="failed", error=error), token=claim.token)
    run = await alice.get_run(claim.run.id)
    assert (run.status, run.error) == ("failed", error)


State = Literal["queued", "in_progress", "expired", "released", "finished"]


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("queued", "cancelled"),
        ("in_progress", "in_progress"),
        ("expired", "cancelled"),
        ("released", "cancelled"),
        ("finished", "completed"),
    ],
)
async def test_cancel_in_each_state(
    alice: UserHistory, worker: WorkerHistoryClient, admin_database_url: str, state: State, status: str
) -> None:
    conversation_id = new_id("thr")
    new = run_create(conversation_id, new=True)
    await alice.create_run(conversation_id, new)
    if state != "queued":
        claim = await claimed(worker)
        if state == "expired":
            await expire_lease(admin_database_url, new.id)
        elif state == "released":
            await worker.release_run(new.id, 1)
        elif state == "finished":
            await worker.finish_run(new.id, finish(1), token=claim.token)

    run = await alice.cancel_run(new.id)
    assert run.status == status
    assert (run.cancel_requested_at is None) == (state == "finished")
    assert (run.finished_at is None) == (state == "in_progress")
    assert await alice.cancel_run(new.id) == run, "cancelling again changes nothing"
    assert await claim_one(worker, "worker-2") is None
    if state == "in_progress":
        assert (await worker.heartbeat(new.id, 1)).cancel_requested is True


@pytest.mark.parametrize("way", ["expired", "released"])
async def test_a_run_that_was_asked_to_stop_is_not_tried_again(
    alice: UserHistory, worker: WorkerHistoryClient, admin_database_url: str, way: str
) -> None:
    conversation_id = new_id("thr")
    await alice.create_run(conversation_id, run_create(conversation_id, new=True))
    claim = await claimed(worker)
    await alice.cancel_run(claim.run.id)
    if way == "expired":
        await expire_lease(admin_database_url, claim.run.id)
    else:
        await worker.release_run(claim.run.id, 1)
    assert await claim_one(worker, "worker-2") is None
    run = await alice.get_run(claim.run.id)
    assert (run.status, run.error) == ("cancelled", None)


async def test_a_cancelled_run_keeps_its_last_items(alice: UserHistory, worker: WorkerHistoryClient) -> None:
    conversation_id = new_id("thr")
    await alice.create_run(conversation_id, run_create(conversation_id, new=True))
    claim = await claimed(worker)
    await alice.cancel_run(claim.run.id)
    partial = assistant_message(conversation_id, "So f")
    run = await worker.finish_run(claim.run.id, finish(1, partial, status="cancelled"), token=claim.token)
    assert run.status == "cancelled"
    assert (await alice.list_items(conversation_id)).data[-1] == partial


async def test_items_of_a_batch_are_stored_together_or_not_at_all(
    alice: UserHistory, worker: WorkerHistoryClient
) -> None:
    conversation_id = new_id("thr")
    await alice.create_run(conversation_id, run_create(conversation_id, new=True))
    claim = await claimed(worker)
    good, elsewhere = assistant_message(conversation_id), assistant_message(new_id("thr"))
    before = (await alice.list_items(conversation_id)).data
    for call in (
        worker.put_run_items(claim.run.id, items_put(1, good, elsewhere), token=claim.token),
        worker.finish_run(claim.run.id, finish(1, good, elsewhere), token=claim.token),
    ):
        with pytest.raises(HistoryInvalidError):
            await call
    stolen = assistant_message(conversation_id, "not mine", before[0]["id"])
    with pytest.raises(HistoryConflictError, match="item_conflict"):
        await worker.put_run_items(claim.run.id, items_put(1, good, stolen), token=claim.token)
    assert (await alice.list_items(conversation_id)).data == before
    assert (await alice.get_run(claim.run.id)).status == "in_progress"


async def test_a_run_token_is_good_for_its_run_alone(alice: UserHistory, worker: WorkerHistoryClient) -> None:
    runs: list[Claim] = []
    for _ in range(2):
        conversation_id = new_id("thr")
        await alice.create_run(conversation_id, run_create(conversation_id, new=True))
        runs.append(await claimed(worker))
    one, other = runs
    message = assistant_message(other.conversation.id)
    with pytest.raises(HistoryForbiddenError, match="run_forbidden"):
        await worker.put_run_items(other.run.id, items_put(1, message), token=one.token)
    with pytest.raises(HistoryForbiddenError, match="run_forbidden"):
        await worker.finish_run(other.run.id, finish(1), token=one.token)


async def test_runs_of_others_are_forbidden_and_unknown_ones_not_found(alice: UserHistory, bob: UserHistory) -> None:
    conversation_id = new_id("thr")
    new = run_create(conversation_id, new=True)
    await alice.create_run(conversation_id, new)
    for call in (bob.get_run(new.id), bob.cancel_run(new.id)):
        with pytest.raises(HistoryForbiddenError, match="run_forbidden"):
            await call
    for call in (bob.get_run(new_id("run")), bob.cancel_run(new_id("run"))):
        with pytest.raises(HistoryNotFoundError, match="run_not_found"):
            await call
    assert (await alice.get_run(new.id)).status == "queued"


async def test_runs_are_listed_in_order_and_active_ones_alone(alice: UserHistory, worker: WorkerHistoryClient) -> None:
    conversation_id = new_id("thr")
    news = [run_create(conversation_id, new=True) for _ in range(3)]
    for new in news:
        await alice.create_run(conversation_id, new)
    claim = await claimed(worker)
    await worker.finish_run(claim.run.id, finish(1), token=claim.token)
    ids = [new.id for new in news]

    first = await alice.list_runs(conversation_id, limit=2)
    assert ([run.id for run in first.data], first.has_more) == (ids[:2], True)
    assert [run.id for run in (await alice.list_runs(conversation_id, after=first.after)).data] == ids[2:]
    assert [run.id for run in (await alice.list_runs(conversation_id, order="desc")).data] == ids[::-1]
    assert [run.id for run in (await alice.list_runs(conversation_id, active=True)).data] == ids[1:]
    with pytest.raises(HistoryInvalidError, match="invalid_cursor"):
        await alice.list_runs(conversation_id, after=new_id("run"))


async def test_deleting_a_conversation_takes_its_runs_away_from_their_workers(
    alice: UserHistory, worker: WorkerHistoryClient
) -> None:
    conversation_id = new_id("thr")
    await alice.create_run(conversation_id, run_create(conversation_id, new=True))
    claim = await claimed(worker)
    await alice.delete_conversation(conversation_id)
    with pytest.raises(LeaseLostError):
        await worker.heartbeat(claim.run.id, 1)
    with pytest.raises(HistoryNotFoundError, match="run_not_found"):
        await worker.put_run_items(claim.run.id, items_put(1, assistant_message(conversation_id)), token=claim.token)


async def test_deleting_while_a_worker_writes_ends_well_for_both(
    alice: UserHistory, worker: WorkerHistoryClient
) -> None:
    for _ in range(5):
        conversation_id = new_id("thr")
        await alice.create_run(conversation_id, run_create(conversation_id, new=True))
        claim = await claimed(worker)
        ended = finish(1, assistant_message(conversation_id), title="Title")
        _, outcome = await asyncio.gather(
            alice.delete_conversation(conversation_id),
            worker.finish_run(claim.run.id, ended, token=claim.token),
            return_exceptions=True,
        )
        assert not isinstance(outcome, BaseException) or isinstance(outcome, HistoryNotFoundError)
        with pytest.raises(HistoryNotFoundError):
            await alice.get_conversation(conversation_id)
