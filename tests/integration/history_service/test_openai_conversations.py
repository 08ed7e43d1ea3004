"""`/v1/conversations` as the real `openai` client sees it."""

import time

import openai
import pytest
from openai import AsyncOpenAI

from contracts.conversations import ConversationPatch
from contracts.ids import new_id
from contracts.principal import CONVERSATIONS_READ
from history_client import UserHistory
from tests.integration.history_service.conftest import History, signer
from tests.support.history import conversation_put, user_message
from tests.support.openai_clients import openai_client


async def test_a_conversation_is_made_read_changed_and_deleted(alice_openai: AsyncOpenAI) -> None:
    before = int(time.time())
    created = await alice_openai.conversations.create(metadata={"topic": "todo"})
    assert created.id.startswith("conv_")
    assert created.object == "conversation"
    assert before <= created.created_at <= time.time()
    assert created.metadata == {"topic": "todo"}
    assert await alice_openai.conversations.retrieve(created.id) == created

    changed = await alice_openai.conversations.update(created.id, metadata={"colour": "red"})
    assert changed.metadata == {"colour": "red"}, "the metadata is replaced"
    assert (await alice_openai.conversations.update(created.id, metadata=None)).metadata == {}

    deleted = await alice_openai.conversations.delete(created.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (created.id, "conversation.deleted", True)
    with pytest.raises(openai.NotFoundError):
        await alice_openai.conversations.retrieve(created.id)


async def test_an_empty_conversation(alice_openai: AsyncOpenAI) -> None:
    for created in (
        await alice_openai.conversations.create(),
        await alice_openai.conversations.create(items=[], metadata=None),
    ):
        assert created.metadata == {}
        page = await alice_openai.conversations.items.list(created.id)
        assert (page.data, page.has_more, page.last_id) == ([], False, None)


async def test_a_conversation_begins_with_its_items(alice_openai: AsyncOpenAI, alice: UserHistory) -> None:
    created = await alice_openai.conversations.create(
        items=[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]
    )
    thread = await alice.get_conversation(created.id)
    assert (thread.title, thread.status) == (None, {"type": "active"})
    assert int(thread.created_at.timestamp()) == created.created_at
    shown = (await alice.list_items(created.id)).data
    assert [item["content"][0]["text"] for item in shown] == ["Hello"]
    hidden = (await alice.list_items(created.id, include_hidden=True)).data[0]
    assert (hidden["type"], hidden["content"]) == ("sdk_hidden_context", "Be kind.")
    assert (await alice.list_conversations()).data[0].id == created.id


async def test_a_thread_is_a_conversation(alice_openai: AsyncOpenAI, alice: UserHistory) -> None:
    thread = await alice.put_conversation(conversation_put(title="Shopping"))
    await alice.patch_conversation(thread.id, ConversationPatch(metadata={"nested": {"kept": 1}}))
    found = await alice_openai.conversations.retrieve(thread.id)
    assert (found.id, found.metadata) == (thread.id, {"nested": {"kept": 1}})
    await alice_openai.conversations.update(thread.id, metadata={"topic": "todo"})
    changed = await alice.get_conversation(thread.id)
    assert (changed.title, changed.metadata) == ("Shopping", {"topic": "todo"})


async def test_what_is_foreign_is_forbidden_and_what_is_unknown_is_not_found(
    alice: UserHistory, bob_openai: AsyncOpenAI
) -> None:
    thread = await alice.put_conversation(conversation_put())
    message = user_message(thread.id)
    await alice.put_item(thread.id, message["id"], message)
    for identifier, error, code in (
        (thread.id, openai.PermissionDeniedError, "conversation_forbidden"),
        (new_id("conv"), openai.NotFoundError, "conversation_not_found"),
    ):
        conversations, items = bob_openai.conversations, bob_openai.conversations.items
        for call in (
            conversations.retrieve(identifier),
            conversations.update(identifier, metadata={}),
            conversations.delete(identifier),
            items.list(identifier),
            items.list(identifier, after=message["id"]),
            items.create(identifier, items=[{"role": "user", "content": "Hi"}]),
            items.create(identifier, items=[{"role": "user", "content": "Hi", "id": message["id"]}]),  # pyright: ignore[reportArgumentType]
            items.retrieve(message["id"], conversation_id=identifier),
            items.delete(message["id"], conversation_id=identifier),
        ):
            with pytest.raises(error) as refused:
                await call
            assert refused.value.code == code
    assert (await alice.list_items(thread.id)).data == [message]


async def test_errors_are_openais(history: History, alice_openai: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        await alice_openai.conversations.retrieve("conv_1")
    error = unknown.value
    assert (error.type, error.param, error.code) == ("invalid_request_error", None, "conversation_not_found")
    assert error.body == {
        "message": "There is no such conversation.",
        "type": "invalid_request_error",
        "param": None,
        "code": "conversation_not_found",
    }
    assert error.response.headers["content-type"] == "application/json"
    assert error.request_id

    async with AsyncOpenAI(base_url=f"{history.http.base_url}/v1", api_key="sk-no-token") as stranger:
        with pytest.raises(openai.AuthenticationError) as invalid:
            await stranger.conversations.create()
    assert (invalid.value.type, invalid.value.code) == ("authentication_error", "token_invalid")
    assert invalid.value.response.headers["www-authenticate"] == 'Bearer error="invalid_token"'

    url = str(history.http.base_url)
    async with openai_client(url, signer("chat-service"), "alice", (CONVERSATIONS_READ,)) as reader:
        with pytest.raises(openai.PermissionDeniedError) as forbidden:
            await reader.conversations.create()
    assert (forbidden.value.type, forbidden.value.code) == ("permission_error", "scope_missing")
    assert (await history.http.get("/v1/nothing")).json()["error"]["code"] == "route_not_found"
    assert (await history.http.put("/v1/conversations")).json()["error"]["code"] == "method_not_allowed"
    assert (await history.http.get("/conversations")).headers["content-type"] == "application/problem+json"
