"""Creates that are repeated: the same id, or the same `Idempotency-Key`."""

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest

from contracts.conversations import ConversationCreate, ToolCall, ToolCallStatus
from contracts.ids import new_id
from contracts.principal import CONVERSATIONS_WRITE
from history_client import HistoryConflictError, HistoryInvalidError, UserHistory
from history_service.settings import Settings
from history_service.storage.conversations import ConversationStore
from history_service.storage.roles import USER_ROLE
from launcher.sql import connected
from service_kit.database import Database, open_database
from tests.integration.history_service.conftest import History, signer
from tests.support.history import assistant_message, conversation_put, tool_widget, user_message

NEW = ConversationCreate(title="Shopping")


def call_of(status: ToolCallStatus) -> ToolCall:
    return ToolCall(id="call_1", name="add_task", status=status)


@pytest.fixture
async def database(settings: Settings) -> AsyncGenerator[Database]:
    async with open_database(settings) as database:
        yield database


async def test_a_create_with_a_key_is_carried_out_once(alice: UserHistory, bob: UserHistory) -> None:
    answers = await asyncio.gather(*(alice.create_conversation(NEW, idempotency_key="key-1") for _ in range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert [row.id for row in (await alice.list_conversations()).data] == [answers[0].id]

    other = await alice.create_conversation(NEW, idempotency_key="key-2")
    theirs = await bob.create_conversation(NEW, idempotency_key="key-1")
    assert len({answers[0].id, other.id, theirs.id}) == 3
    with pytest.raises(HistoryInvalidError, match="idempotency_key_reused"):
        await alice.create_conversation(ConversationCreate(title="Other"), idempotency_key="key-1")


async def test_what_failed_can_be_tried_again_under_its_key(alice: UserHistory) -> None:
    taken = await alice.create_conversation(NEW)
    again = ConversationCreate(id=taken.id)
    with pytest.raises(HistoryConflictError):
        await alice.create_conversation(again, idempotency_key="key")
    await alice.delete_conversation(taken.id)
    assert (await alice.create_conversation(again, idempotency_key="key")).id == taken.id


async def test_a_kept_answer_goes_with_its_conversation(alice: UserHistory, admin_database_url: str) -> None:
    first = await alice.create_conversation(NEW, idempotency_key="key")
    await alice.delete_conversation(first.id)
    async with connected(admin_database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM history.answers") == 0
    assert (await alice.create_conversation(NEW, idempotency_key="key")).id != first.id


async def test_a_replay_is_marked(history: History) -> None:
    token = signer("chat-service").sign("history-service", [CONVERSATIONS_WRITE], user_id="alice")
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "key"}
    first, second = [await history.http.post("/conversations", json={}, headers=headers) for _ in range(2)]
    assert first.json() == second.json()
    assert (first.status_code, second.status_code) == (201, 201)
    assert ("idempotency-replayed" in first.headers, second.headers["idempotency-replayed"]) == (False, "true")


@pytest.mark.parametrize("key", ["", " ", "k" * 256, "two words"])
async def test_malformed_keys_are_refused(history: History, key: str) -> None:
    token = signer("chat-service").sign("history-service", [CONVERSATIONS_WRITE], user_id="alice")
    # httpx would not send a blank.
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key, "Content-Type": "application/json"}
    answer = await history.service.request("POST", "/conversations", headers, b"{}")
    assert (answer.status, json.loads(answer.content)["code"]) == (422, "invalid_request")


async def test_appending_the_same_item_again_changes_nothing(alice: UserHistory) -> None:
    conversation = await alice.put_conversation(conversation_put())
    first = user_message(conversation.id, "one")
    answers = await asyncio.gather(*(alice.append_item(conversation.id, first) for _ in range(8)))
    assert answers == [first] * 8
    await alice.append_item(conversation.id, assistant_message(conversation.id, "two"))
    await alice.append_item(conversation.id, first)
    positions = [row.position for row in (await alice.list_messages(conversation.id)).data]
    assert positions == [1, 2]


async def test_another_item_with_the_id_is_a_conflict(alice: UserHistory) -> None:
    conversation = await alice.put_conversation(conversation_put())
    first = user_message(conversation.id, "one")
    await alice.append_item(conversation.id, first)
    with pytest.raises(HistoryConflictError, match="item_conflict"):
        await alice.append_item(conversation.id, {**first, "quoted_text": "other"})

    shown = tool_widget(conversation.id, call_of("completed"))
    await alice.append_item(conversation.id, shown.payload, shown.tool_calls)
    await alice.append_item(conversation.id, shown.payload, shown.tool_calls)
    with pytest.raises(HistoryConflictError, match="item_conflict"):
        await alice.append_item(conversation.id, shown.payload, [call_of("failed")])
    assert [row.position for row in (await alice.list_messages(conversation.id)).data] == [1, 2]


async def test_the_same_conversation_put_at_once_never_deadlocks(database: Database) -> None:
    """An insert with a conflict target on a table of two unique indexes does, within some dozens of rounds."""

    async def ensure(conversation_id: str) -> None:
        async with database.transaction(USER_ROLE, "alice") as transaction:
            await ConversationStore(transaction, "alice").ensure(conversation_put(conversation_id))

    for _ in range(200):
        conversation_id = new_id("thr")
        await asyncio.gather(*(ensure(conversation_id) for _ in range(8)))
