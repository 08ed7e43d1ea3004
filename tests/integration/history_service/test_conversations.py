"""Conversations over HTTP, through the client that services use."""

import pytest

from contracts.conversations import ConversationCreate, ConversationPatch
from contracts.ids import new_id
from history_client import (
    HistoryConflictError,
    HistoryForbiddenError,
    HistoryInvalidError,
    HistoryNotFoundError,
    UserHistory,
)
from tests.support.history import conversation_put, user_message


async def test_conversation_lives_from_creation_to_deletion(alice: UserHistory) -> None:
    created = await alice.create_conversation(ConversationCreate(title="Milk", metadata={"from": "test"}))
    assert created.id.startswith("thr_")
    assert created.user_id == "alice"
    assert created.status == {"type": "active"}
    assert await alice.get_conversation(created.id) == created

    renamed = await alice.patch_conversation(created.id, ConversationPatch(title="Oat milk"))
    assert (renamed.title, renamed.metadata) == ("Oat milk", {"from": "test"})
    assert renamed.updated_at > created.updated_at
    unnamed = await alice.patch_conversation(created.id, ConversationPatch(title=None))
    assert unnamed.title is None

    await alice.put_item(created.id, "msg_1", user_message(created.id, item_id="msg_1"))
    await alice.delete_conversation(created.id)
    with pytest.raises(HistoryNotFoundError, match="conversation_not_found"):
        await alice.get_conversation(created.id)
    with pytest.raises(HistoryNotFoundError, match="conversation_not_found"):
        await alice.list_items(created.id)


async def test_creating_a_taken_id_is_a_conflict(alice: UserHistory, bob: UserHistory) -> None:
    conversation = await alice.create_conversation(ConversationCreate(id="thr_taken"))
    with pytest.raises(HistoryConflictError, match="conversation_conflict"):
        await alice.create_conversation(ConversationCreate(id=conversation.id))
    with pytest.raises(HistoryForbiddenError, match="conversation_forbidden"):
        await bob.create_conversation(ConversationCreate(id=conversation.id))


async def test_put_creates_and_then_replaces(alice: UserHistory, bob: UserHistory) -> None:
    put = conversation_put(title="First")
    created = await alice.put_conversation(put)
    assert (created.title, created.created_at) == ("First", put.created_at)

    locked = put.model_copy(
        update={"title": None, "status": {"type": "locked", "reason": "x"}, "allowed_image_domains": ["a.example"]}
    )
    replaced = await alice.put_conversation(locked)
    assert replaced.title is None
    assert replaced.status == {"type": "locked", "reason": "x"}
    assert replaced.allowed_image_domains == ["a.example"]
    assert replaced.created_at == put.created_at

    with pytest.raises(HistoryForbiddenError, match="conversation_forbidden"):
        await bob.put_conversation(put)
    assert await alice.get_conversation(put.id) == replaced


async def test_list_is_paged_by_last_change_both_ways(alice: UserHistory, bob: UserHistory) -> None:
    await bob.put_conversation(conversation_put())
    ids = [(await alice.put_conversation(conversation_put())).id for _ in range(5)]
    await alice.patch_conversation(ids[0], ConversationPatch(title="newest now"))
    by_change = [*ids[1:], ids[0]]

    assert await _walk(alice, "asc") == by_change
    assert await _walk(alice, "desc") == by_change[::-1]


async def _walk(user: UserHistory, order: str) -> list[str]:
    seen: list[str] = []
    after = None
    while True:
        page = await user.list_conversations(limit=2, after=after, order="asc" if order == "asc" else "desc")
        seen += [conversation.id for conversation in page.data]
        if not page.has_more:
            return seen
        after = page.after


async def test_a_change_between_two_pages_shows_nothing_twice(alice: UserHistory) -> None:
    ids = [(await alice.put_conversation(conversation_put())).id for _ in range(4)]
    first = await alice.list_conversations(limit=2)
    assert [conversation.id for conversation in first.data] == [ids[3], ids[2]]

    await alice.patch_conversation(ids[2], ConversationPatch(title="moved to the top"))
    second = await alice.list_conversations(limit=2, after=first.after)
    assert [conversation.id for conversation in second.data] == [ids[1], ids[0]]


async def test_list_continues_after_a_plain_id(alice: UserHistory, bob: UserHistory) -> None:
    ids = [(await alice.put_conversation(conversation_put())).id for _ in range(3)]
    page = await alice.list_conversations(after=ids[2])
    assert [conversation.id for conversation in page.data] == [ids[1], ids[0]]

    foreign = (await bob.put_conversation(conversation_put())).id
    for cursor in (foreign, new_id("thr"), "thr_1@x", "thr_1@" + "9" * 40, "@1", "thr 1"):
        with pytest.raises(HistoryInvalidError, match="invalid_cursor"):
            await alice.list_conversations(after=cursor)
