"""What the end of a run does to its conversation, whatever its last items are."""

from typing import Any

import pytest

from contracts.conversations import JsonObject
from contracts.ids import new_id
from history_client import UserHistory, WorkerHistoryClient
from tests.integration.history_service.test_runs import claimed
from tests.support.history import assistant_message, conversation_put, finish, items_put, run_create


@pytest.mark.parametrize("way", ["appended", "replaced", "both", "nothing"])
async def test_a_finished_run_moves_and_names_its_conversation(
    alice: UserHistory, worker: WorkerHistoryClient, way: str
) -> None:
    conversation_id = new_id("thr")
    await alice.create_run(conversation_id, run_create(conversation_id, new=True))
    claim = await claimed(worker)
    stored = assistant_message(conversation_id, "Half")
    await worker.put_run_items(claim.run.id, items_put(1, stored), token=claim.token)
    await alice.put_conversation(conversation_put())
    assert await newest(alice) != conversation_id

    whole: JsonObject = assistant_message(conversation_id, "Half of it", stored["id"])
    added: JsonObject = assistant_message(conversation_id, "More")
    items: dict[str, list[Any]] = {"appended": [added], "replaced": [whole], "both": [added, whole], "nothing": []}
    await worker.finish_run(claim.run.id, finish(1, *items[way], title="Halves"), token=claim.token)
    assert await newest(alice) == conversation_id
    assert (await alice.get_conversation(conversation_id)).title == "Halves"


async def newest(user: UserHistory) -> str:
    """The id of the conversation that changed last."""
    return (await user.list_conversations(order="desc")).data[0].id
