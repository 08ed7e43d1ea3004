"""Back-pressure: beyond the limits a new run is refused with nothing stored, and a known one never."""

import asyncio

import pytest

from contracts.ids import new_id
from contracts.runs import RunCreate
from history_client import HistoryBusyError, HistoryNotFoundError, UserHistory, WorkerHistoryClient
from history_service.errors import RUN_RETRY_AFTER_SECONDS
from history_service.settings import Settings
from history_service.storage.roles import RETENTION_ROLE, USER_ROLE
from launcher.sql import connected
from tests.integration.history_service.conftest import History
from tests.integration.history_service.test_runs import claimed
from tests.support.history import finish, run_create

PER_USER = 2
QUEUED = 3


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The service's, with few runs allowed."""
    return settings.model_copy(update={"run_queue_limit": QUEUED, "run_queue_limit_per_user": PER_USER})


async def queue(user: UserHistory) -> RunCreate:
    """Create a run in a conversation of its own."""
    conversation_id = new_id("thr")
    new = run_create(conversation_id, new=True)
    await user.create_run(conversation_id, new)
    return new


async def refusal(user: UserHistory, conversation_id: str, new: RunCreate) -> HistoryBusyError:
    with pytest.raises(HistoryBusyError) as caught:
        await user.create_run(conversation_id, new)
    return caught.value


async def test_a_user_cannot_have_more_unfinished_runs_than_the_limit(
    alice: UserHistory, bob: UserHistory, worker: WorkerHistoryClient
) -> None:
    known = [await queue(alice) for _ in range(PER_USER)]
    claim = await claimed(worker)

    there, unknown = claim.conversation.id, new_id("thr")
    before = (await alice.list_items(there)).data
    for conversation_id in (there, unknown):
        new = run_create(conversation_id, new=True)
        error = await refusal(alice, conversation_id, new)
        assert (error.code, error.status) == ("too_many_runs", 429)
        assert error.retry_after_seconds == RUN_RETRY_AFTER_SECONDS
        with pytest.raises(HistoryNotFoundError, match="run_not_found"):
            await alice.get_run(new.id)
    assert (await alice.list_items(there)).data == before
    with pytest.raises(HistoryNotFoundError, match="conversation_not_found"):
        await alice.get_conversation(unknown)

    for run in known:
        assert run.item is not None
        again = await alice.create_run(run.item["thread_id"], run)
        assert (again.run.id, again.item) == (run.id, run.item), "what is known is never refused"
    await queue(bob)
    await worker.finish_run(claim.run.id, finish(1), token=claim.token)
    await queue(alice)


async def test_the_queue_of_everybody_has_a_limit(history: History, worker: WorkerHistoryClient) -> None:
    for user_id in ("alice", "alice", "bob"):
        await queue(history.user(user_id))
    carol, conversation_id = history.user("carol"), new_id("thr")
    new = run_create(conversation_id, new=True)
    error = await refusal(carol, conversation_id, new)
    assert (error.code, error.status) == ("run_queue_full", 429)
    assert error.retry_after_seconds == RUN_RETRY_AFTER_SECONDS

    await claimed(worker)
    assert (await carol.create_run(conversation_id, new)).run.status == "queued", "what is executed queues no more"


async def test_of_runs_created_at_once_no_more_than_a_users_limit_come_to_be(alice: UserHistory) -> None:
    outcomes = await asyncio.gather(*(queue(alice) for _ in range(12)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert all(isinstance(error, HistoryBusyError) for error in refused), refused
    assert len(outcomes) - len(refused) == PER_USER


async def test_users_alone_may_ask_whether_there_is_room(database_url: str) -> None:
    may = "SELECT has_function_privilege($1, 'history.run_refusal(integer, integer)', 'EXECUTE')"
    async with connected(database_url) as connection:
        asked = {role: await connection.fetchval(may, role) for role in (USER_ROLE, RETENTION_ROLE, "public")}
    assert asked == {USER_ROLE: True, RETENTION_ROLE: False, "public": False}
