"""Texts that were cut off: marked in every projection but ChatKit's, which has no word for it."""

import pytest
from asyncpg import CheckViolationError
from openai import AsyncOpenAI

from contracts.conversations import ItemPut
from contracts.ids import new_id
from history_client import HistoryConflictError, UserHistory, WorkerHistoryClient
from launcher.sql import connected
from tests.integration.history_service.test_runs import claimed
from tests.support.history import assistant_message, conversation_put, finish, run_create
from tests.support.openai_clients import Log


async def statuses(user: UserHistory, conversation_id: str) -> list[str]:
    return [message.status for message in (await user.list_messages(conversation_id)).data]


async def test_a_text_that_was_cut_off_says_so_wherever_it_is_read(
    alice: UserHistory, worker: WorkerHistoryClient, alice_openai: AsyncOpenAI
) -> None:
    conversation_id = new_id("thr")
    await alice.create_run(conversation_id, run_create(conversation_id, new=True))
    claim = await claimed(worker)
    partial = assistant_message(conversation_id, "So f")
    ended = finish(1, ItemPut(payload=partial, status="incomplete"), status="cancelled")
    await worker.finish_run(claim.run.id, ended, token=claim.token)

    assert await statuses(alice, conversation_id) == ["completed", "incomplete"]
    assert await alice.get_item(conversation_id, partial["id"]) == partial
    exported = (await alice.export_conversation(conversation_id)).items
    assert [item.status for item in exported] == ["completed", "incomplete"]
    items = await Log(alice_openai, conversation_id).all()
    assert [(item["role"], item["status"]) for item in items] == [("user", "completed"), ("assistant", "incomplete")]


async def test_an_item_that_is_put_again_has_the_status_it_is_put_with(alice: UserHistory) -> None:
    conversation_id = (await alice.put_conversation(conversation_put())).id
    answer = assistant_message(conversation_id)
    for status in ("incomplete", "completed", "incomplete"):
        await alice.put_item(conversation_id, answer["id"], answer, status=status)
        assert await statuses(alice, conversation_id) == [status]


async def test_a_cut_off_text_and_the_whole_one_are_two_items(alice: UserHistory) -> None:
    conversation_id = (await alice.put_conversation(conversation_put())).id
    answer = assistant_message(conversation_id)
    for _ in range(2):
        await alice.append_item(conversation_id, answer, status="incomplete")
    with pytest.raises(HistoryConflictError, match="item_conflict"):
        await alice.append_item(conversation_id, answer)
    assert await statuses(alice, conversation_id) == ["incomplete"]


async def test_an_openai_message_keeps_its_status(alice: UserHistory, alice_openai: AsyncOpenAI) -> None:
    log = Log(alice_openai, (await alice_openai.conversations.create()).id)
    sent = [
        {"type": "message", "role": "assistant", "content": "So f", "status": status}
        for status in ("incomplete", "in_progress", "completed")
    ]
    await log.add(*sent)
    assert [item["status"] for item in await log.all()] == ["incomplete", "in_progress", "completed"]
    assert await statuses(alice, log.id) == ["incomplete", "incomplete", "completed"]


async def test_the_database_knows_no_other_status(alice: UserHistory, admin_database_url: str) -> None:
    conversation_id = (await alice.put_conversation(conversation_put())).id
    await alice.append_item(conversation_id, assistant_message(conversation_id))
    async with connected(admin_database_url) as connection:
        with pytest.raises(CheckViolationError, match="messages_status_check"):
            await connection.execute("UPDATE history.messages SET status = 'partial'")
