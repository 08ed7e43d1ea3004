"""What users think of items: one opinion per item, all or nothing, gone with the item."""

import pytest

from contracts.conversations import JsonObject
from contracts.ids import new_id
from contracts.principal import CONVERSATIONS_WRITE
from history_client import HistoryForbiddenError, HistoryInvalidError, HistoryNotFoundError, UserHistory
from tests.integration.history_service.conftest import History, signer
from tests.support.history import assistant_message, conversation_put, item


async def with_items(user: UserHistory, count: int = 3) -> tuple[str, list[str]]:
    """A conversation with answers; returns its id and theirs."""
    conversation = await user.put_conversation(conversation_put())
    items = [assistant_message(conversation.id, f"Answer {number}") for number in range(count)]
    for each in items:
        await user.put_item(conversation.id, each["id"], each)
    return conversation.id, [each["id"] for each in items]


async def opinions(user: UserHistory, conversation_id: str) -> dict[str, str]:
    return {row.item_id: row.kind for row in (await user.list_feedback(conversation_id)).data}


async def test_a_later_opinion_takes_the_place_of_an_earlier_one(alice: UserHistory) -> None:
    conversation_id, (first, second, third) = await with_items(alice)
    await alice.put_feedback(conversation_id, [second, first, second], "positive")
    await alice.put_feedback(conversation_id, [third, first], "negative")
    expected = {first: "negative", second: "positive", third: "negative"}
    assert await opinions(alice, conversation_id) == expected
    assert list(await opinions(alice, conversation_id)) == [first, second, third]


async def test_one_unknown_item_and_nothing_is_stored(alice: UserHistory) -> None:
    conversation_id, ids = await with_items(alice)
    other_id, (elsewhere, *_) = await with_items(alice)
    hidden = item(conversation_id, "hidden_context_item", content="x")
    await alice.put_item(conversation_id, hidden["id"], hidden)
    for unknown in (new_id("msg"), elsewhere, hidden["id"]):
        with pytest.raises(HistoryNotFoundError, match="item_not_found"):
            await alice.put_feedback(conversation_id, [*ids, unknown], "positive")
    assert await opinions(alice, conversation_id) == await opinions(alice, other_id) == {}


async def test_somebody_elses_is_forbidden_and_an_unknown_one_not_found(alice: UserHistory, bob: UserHistory) -> None:
    conversation_id, ids = await with_items(alice)
    await alice.put_feedback(conversation_id, ids, "positive")
    with pytest.raises(HistoryForbiddenError, match="conversation_forbidden"):
        await bob.put_feedback(conversation_id, ids, "negative")
    with pytest.raises(HistoryForbiddenError, match="conversation_forbidden"):
        await bob.list_feedback(conversation_id)
    for attempt in (bob.put_feedback(new_id("thr"), ids, "negative"), bob.list_feedback(new_id("thr"))):
        with pytest.raises(HistoryNotFoundError, match="conversation_not_found"):
            await attempt
    assert set((await opinions(alice, conversation_id)).values()) == {"positive"}


async def test_feedback_goes_with_its_item(alice: UserHistory) -> None:
    conversation_id, (first, second, _) = await with_items(alice)
    await alice.put_feedback(conversation_id, [first, second], "positive")
    await alice.delete_item(conversation_id, first)
    assert await opinions(alice, conversation_id) == {second: "positive"}


async def test_pages_in_both_directions(alice: UserHistory) -> None:
    conversation_id, ids = await with_items(alice, 5)
    await alice.put_feedback(conversation_id, [ids[0], ids[2], ids[3], ids[4]], "positive")
    first = await alice.list_feedback(conversation_id, limit=3)
    assert ([row.item_id for row in first.data], first.has_more) == ([ids[0], ids[2], ids[3]], True)
    rest = await alice.list_feedback(conversation_id, limit=3, after=first.after)
    assert ([row.item_id for row in rest.data], rest.has_more) == ([ids[4]], False)
    newest = await alice.list_feedback(conversation_id, limit=2, order="desc")
    assert [row.item_id for row in newest.data] == [ids[4], ids[3]]
    with pytest.raises(HistoryInvalidError, match="invalid_cursor"):
        await alice.list_feedback(conversation_id, after=new_id("msg"))


async def test_malformed_feedback_is_refused(history: History) -> None:
    token = signer("chat-service").sign("history-service", [CONVERSATIONS_WRITE], user_id="alice")
    bodies: list[JsonObject] = [
        {"item_ids": [], "kind": "positive"},
        {"item_ids": ["msg_1"] * 101, "kind": "positive"},
        {"item_ids": ["msg_1"], "kind": "lukewarm"},
        {"item_ids": ["msg_1"]},
        {"item_ids": "msg_1", "kind": "positive"},
        {"item_ids": ["a b"], "kind": "positive"},
        {"item_ids": [5], "kind": "positive"},
    ]
    for body in bodies:
        path = "/conversations/thr_1/feedback"
        response = await history.http.put(path, json=body, headers={"Authorization": f"Bearer {token}"})
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
