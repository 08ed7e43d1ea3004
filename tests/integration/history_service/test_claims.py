"""What a claim takes, and what it tells."""

from contracts.ids import new_id
from history_client import UserHistory, WorkerHistoryClient
from launcher.sql import connected
from tests.integration.history_service.test_runs import claimed, expire_lease
from tests.support.history import finish, run_create


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
    assert await worker.claim_run("worker-1") is None
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
