"""What a claim takes, and what it tells."""

import asyncio

from contracts.ids import new_id
from contracts.runs import MAX_CLAIMS, Claim
from history_client import UserHistory, WorkerHistoryClient
from launcher.sql import connected
from tests.integration.history_service.test_runs import claimed, expire_lease
from tests.support.history import claim_one, finish, run_create


async def test_the_oldest_run_that_can_be_executed_is_next(
    alice: UserHistory, bob: UserHistory, worker: WorkerHistoryClient
) -> None:
    """First come, first served; what waits behind a run of its conversation keeps nobody else waiting."""
    places = {name: new_id("thr") for name in ("talkative", "other", "bobs")}
    order = ["talkative", "talkative", "talkative", "bobs", "talkative", "other", "bobs"]
    runs = [(place, run_create(places[place], new=True)) for place in order]
    for place, run in runs:
        await (bob if place == "bobs" else alice).create_run(places[place], run)
    ids = [run.id for _, run in runs]

    first = await claimed(worker, ids[0])
    for number in (3, 5):
        await claimed(worker, ids[number])
    assert await claim_one(worker, "worker-1") is None
    await worker.finish_run(first.run.id, finish(1), token=first.token)
    second = await claimed(worker, ids[1])
    await worker.release_run(second.run.id, 1)
    again = await claimed(worker, ids[1])
    await worker.finish_run(again.run.id, finish(2), token=again.token)
    await claimed(worker, ids[2])


async def test_a_claim_tells_how_long_ago_the_first_attempt_began(
    alice: UserHistory, worker: WorkerHistoryClient, admin_database_url: str
) -> None:
    conversation_id = new_id("thr")
    await alice.create_run(conversation_id, run_create(conversation_id, new=True))
    first = await claimed(worker)
    assert first.elapsed_seconds == 0
    async with connected(admin_database_url) as connection:
        await connection.execute("UPDATE history.runs SET started_at = started_at - interval '100 s'")
    for way in ("released", "expired"):
        if way == "released":
            await worker.release_run(first.run.id, 1)
        else:
            await expire_lease(admin_database_url, first.run.id)
        assert 100 < (await claimed(worker)).elapsed_seconds < 200, way


async def test_a_claim_of_several_takes_the_oldest_in_order_and_one_of_a_conversation(
    alice: UserHistory, bob: UserHistory, worker: WorkerHistoryClient
) -> None:
    """Each is told with its own conversation and messages, whoever's it is."""
    users = {"alice": alice, "bob": bob}
    asked: list[tuple[str, str, str]] = []
    for number in range(3):
        for name, user in users.items():
            conversation_id = new_id("thr")
            for again in ("", " again"):
                run = run_create(conversation_id, f"{name}'s {number}{again}", new=True)
                await user.create_run(conversation_id, run)
            asked.append((name, conversation_id, f"{name}'s {number}"))

    claims = await worker.claim_runs("worker-1", 4) + await worker.claim_runs("worker-2", MAX_CLAIMS)
    assert [_told(claim) for claim in claims] == [
        (name, (name, name), (conversation_id, conversation_id), [text]) for name, conversation_id, text in asked
    ]
    assert await worker.claim_runs("worker-1", MAX_CLAIMS) == []
    first = claims[0]
    await worker.finish_run(first.run.id, finish(1), token=first.token)
    (after,) = await worker.claim_runs("worker-1", MAX_CLAIMS)
    assert [message.content for message in after.context] == ["alice's 0", "alice's 0 again"]


def _told(claim: Claim) -> tuple[str, tuple[str, str], tuple[str, str], list[str]]:
    run, conversation = claim.run, claim.conversation
    owner = claim.context[0].content.partition("'")[0]
    texts = [message.content for message in claim.context]
    return owner, (run.user_id, conversation.user_id), (run.conversation_id, conversation.id), texts


async def test_claims_of_several_at_once_never_hold_two_runs_of_a_conversation(
    alice: UserHistory, bob: UserHistory, worker: WorkerHistoryClient
) -> None:
    """Also while others finish runs, which lets the next one of their conversation go."""
    queued: dict[str, list[str]] = {}
    for user in (alice, bob) * 3:
        conversation_id = new_id("thr")
        runs = [run_create(conversation_id, new=True) for _ in range(4)]
        for run in runs:
            await user.create_run(conversation_id, run)
        queued[conversation_id] = [run.id for run in runs]
    started: dict[str, list[str]] = {name: [] for name in queued}
    active: set[str] = set()

    async def work(name: str) -> None:
        while any(len(started[name]) < len(ids) for name, ids in queued.items()):
            claims = await worker.claim_runs(name, 3)
            held = {claim.conversation.id for claim in claims}
            assert len(held) == len(claims)
            assert not held & active
            active.update(held)
            for claim in claims:
                started[claim.conversation.id].append(claim.run.id)
            for claim in claims:
                active.remove(claim.conversation.id)
                await worker.finish_run(claim.run.id, finish(1), token=claim.token)

    async with asyncio.timeout(30):
        await asyncio.gather(*(work(f"worker-{number}") for number in range(8)))
    assert started == queued
