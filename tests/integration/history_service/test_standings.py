"""How far runs have come: asked by their ids, for readers that were let see them before."""

import httpx
import pytest

from contracts.ids import new_id
from contracts.principal import RUNS_WATCH
from contracts.runs import MAX_STANDINGS, RunStanding
from history_client import HistoryClient, UserHistory
from tests.integration.history_service.conftest import History, signer
from tests.support.history import claim_one, finish, run_create


async def queued(user: UserHistory) -> str:
    """Queue a run; return its id."""
    conversation_id = new_id("thr")
    return (await user.create_run(conversation_id, run_create(conversation_id, new=True))).run.id


async def asked(history: History, *ids: str) -> httpx.Response:
    """Return the answer to a question that no client of ours would put."""
    token = signer("chat-service").sign("history-service", [RUNS_WATCH])
    headers = {"Authorization": f"Bearer {token}"}
    return await history.http.post("/runs/standings", json={"ids": ids}, headers=headers)


@pytest.fixture
def readers(history: History) -> HistoryClient:
    return HistoryClient(history.service, signer("chat-service"))


async def test_it_is_told_of_everybodys_runs_and_nothing_else(
    history: History, readers: HistoryClient, alice: UserHistory, bob: UserHistory
) -> None:
    ended, waiting, gone, _ = [await queued(user) for user in (alice, bob, bob, bob)]
    claim = await claim_one(history.worker)
    assert claim is not None
    assert claim.run.id == ended
    await history.worker.finish_run(ended, finish(claim.run.attempt), token=claim.token)
    await bob.delete_conversation((await bob.get_run(gone)).conversation_id)

    standings = await readers.run_standings([ended, waiting, gone, new_id("run"), "no run's id\\", waiting])
    assert sorted(standings, key=lambda each: each.id) == [
        RunStanding(id=ended, status="completed", attempt=1),
        RunStanding(id=waiting, status="queued", attempt=0),
    ]
    answer = await asked(history, waiting)
    assert answer.json() == {"runs": [{"id": waiting, "status": "queued", "attempt": 0}]}


async def test_it_is_asked_of_some_runs_and_not_of_too_many(history: History) -> None:
    numbered = [f"run_{number}" for number in range(MAX_STANDINGS + 1)]
    assert (await asked(history, *numbered[1:])).json() == {"runs": []}
    assert [(await asked(history, *ids)).status_code for ids in ((), numbered)] == [422, 422]
