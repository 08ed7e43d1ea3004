"""Items and messages: one log, exact, in order, and nobody else's."""

import asyncio

import pytest

from contracts.conversations import JsonObject, ToolCall
from contracts.ids import new_id
from history_client import HistoryForbiddenError, HistoryInvalidError, HistoryNotFoundError, UserHistory
from tests.support.history import assistant_message, conversation_put, item, user_message

TOOL_CALL = ToolCall(id="call_1", name="add_task", arguments={"title": "milk"}, output="{}", status="completed")

ITEMS: dict[str, JsonObject] = {
    "user_message": {"content": [{"type": "input_text", "text": "Hi"}], "attachments": [], "inference_options": {}},
    "assistant_message": {"content": [{"type": "output_text", "text": "Hallo ☃ \U0001f600", "annotations": []}]},
    "client_tool_call": {
        "status": "completed",
        "call_id": "c",
        "name": "n",
        "arguments": {"z": 1, "a": 2},
        "output": 1,
    },
    "widget": {"widget": {"type": "Card", "children": []}, "copy_text": None},
    "generated_image": {"image": {"id": "img_1", "url": "https://images.example/1.png"}},
    "structured_input": {"status": "pending", "inputs": [{"type": "freeform", "id": "i", "question": "Why?"}]},
    "task": {"task": {"type": "custom", "title": "Look", "content": "around", "status_indicator": "none"}},
    "workflow": {"workflow": {"type": "reasoning", "tasks": [], "summary": {"duration": 3}, "expanded": False}},
    "end_of_turn": {},
    "hidden_context_item": {"content": {"number": 1e300, "tiny": -0.0, "big": 2**70, "text": "x"}},
    "sdk_hidden_context": {"content": "secret"},
}


async def test_every_kind_comes_back_exactly(alice: UserHistory, subtests: pytest.Subtests) -> None:
    conversation = await alice.put_conversation(conversation_put())
    payloads = [item(conversation.id, kind, **members) for kind, members in ITEMS.items()]
    for payload in payloads:
        with subtests.test(payload["type"]):
            await alice.put_item(conversation.id, payload["id"], payload)
            stored = await alice.get_item(conversation.id, payload["id"])
            assert repr(stored) == repr(payload), "also the order of keys and the kind of numbers"
    assert (await alice.list_items(conversation.id, include_hidden=True)).data == payloads


async def test_hidden_items_are_listed_only_when_asked_for(alice: UserHistory) -> None:
    conversation = await alice.put_conversation(conversation_put())
    hidden = item(conversation.id, "hidden_context_item", content="secret")
    shown = user_message(conversation.id)
    for payload in (hidden, shown):
        await alice.put_item(conversation.id, payload["id"], payload)

    assert (await alice.list_items(conversation.id)).data == [shown]
    assert (await alice.list_items(conversation.id, include_hidden=True)).data == [hidden, shown]
    assert [message.id for message in (await alice.list_messages(conversation.id)).data] == [shown["id"]]


async def test_messages_have_role_text_and_tool_calls(alice: UserHistory) -> None:
    conversation = await alice.put_conversation(conversation_put())
    question, widget = user_message(conversation.id, "Add milk"), item(conversation.id, "widget", **ITEMS["widget"])
    await alice.put_item(conversation.id, question["id"], question)
    await alice.put_item(conversation.id, widget["id"], widget, [TOOL_CALL])

    first, second = (await alice.list_messages(conversation.id)).data
    assert (first.role, first.kind, first.content, first.tool_calls) == ("user", "user_message", "Add milk", [])
    assert (second.role, second.kind, second.tool_calls) == ("assistant", "widget", [TOOL_CALL])
    assert (first.position, second.position) == (1, 2)
    assert first.conversation_id == conversation.id
    assert first.created_at.isoformat() == question["created_at"]


async def test_putting_an_item_again_replaces_it_in_its_place(alice: UserHistory) -> None:
    conversation = await alice.put_conversation(conversation_put())
    payloads = [assistant_message(conversation.id, text) for text in ("one", "two")]
    for payload in payloads:
        await alice.put_item(conversation.id, payload["id"], payload)
    changed = assistant_message(conversation.id, "ONE", payloads[0]["id"])
    assert await alice.put_item(conversation.id, changed["id"], changed) == changed

    assert (await alice.list_items(conversation.id)).data == [changed, payloads[1]]
    third = user_message(conversation.id)
    await alice.put_item(conversation.id, third["id"], third)
    assert [message.position for message in (await alice.list_messages(conversation.id)).data] == [1, 2, 3]


async def test_new_items_move_their_conversation_to_the_top(alice: UserHistory) -> None:
    older, newer = [await alice.put_conversation(conversation_put()) for _ in range(2)]
    payload = user_message(older.id)
    await alice.put_item(older.id, payload["id"], payload)
    assert [row.id for row in (await alice.list_conversations()).data] == [older.id, newer.id]


async def test_concurrent_appends_get_positions_without_gaps_or_duplicates(alice: UserHistory) -> None:
    conversation = await alice.put_conversation(conversation_put())
    payloads = [user_message(conversation.id) for _ in range(40)]
    # Every item is sent twice at the same time: the loser of each pair must not leave a gap.
    await asyncio.gather(*(alice.put_item(conversation.id, payload["id"], payload) for payload in payloads * 2))

    messages = (await alice.list_messages(conversation.id, limit=100)).data
    assert [message.position for message in messages] == list(range(1, 41))
    assert {message.id for message in messages} == {payload["id"] for payload in payloads}


async def test_items_are_paged_by_position_both_ways(alice: UserHistory) -> None:
    conversation = await alice.put_conversation(conversation_put())
    ids = [f"msg_{number}" for number in (3, 1, 4, 5, 2)]
    for identifier in ids:
        await alice.put_item(conversation.id, identifier, user_message(conversation.id, item_id=identifier))

    first = await alice.list_items(conversation.id, limit=2)
    assert ([row["id"] for row in first.data], first.has_more) == (ids[:2], True)
    rest = await alice.list_items(conversation.id, limit=3, after=first.after)
    assert ([row["id"] for row in rest.data], rest.has_more) == (ids[2:], False)
    newest = await alice.list_items(conversation.id, limit=2, order="desc")
    assert [row["id"] for row in newest.data] == ids[:2:-1]
    older = await alice.list_messages(conversation.id, after=newest.after, order="desc")
    assert [row.id for row in older.data] == ids[2::-1]
    assert (await alice.list_items(conversation.id, after=ids[-1])).data == []


async def test_a_cursor_of_another_list_is_refused(alice: UserHistory) -> None:
    one, other = [await alice.put_conversation(conversation_put()) for _ in range(2)]
    for conversation in (one, other):
        identifier = f"msg_in_{conversation.id}"
        await alice.put_item(conversation.id, identifier, user_message(conversation.id, item_id=identifier))
    for cursor in (f"msg_in_{other.id}", new_id("msg")):
        with pytest.raises(HistoryInvalidError, match="invalid_cursor"):
            await alice.list_items(one.id, after=cursor)
        with pytest.raises(HistoryInvalidError, match="invalid_cursor"):
            await alice.list_messages(one.id, after=cursor)


async def test_deleting_an_item_leaves_the_others_in_place(alice: UserHistory) -> None:
    conversation = await alice.put_conversation(conversation_put())
    payloads = [user_message(conversation.id) for _ in range(3)]
    for payload in payloads:
        await alice.put_item(conversation.id, payload["id"], payload)
    await alice.delete_item(conversation.id, payloads[1]["id"])

    assert (await alice.list_items(conversation.id)).data == [payloads[0], payloads[2]]
    with pytest.raises(HistoryNotFoundError, match="item_not_found"):
        await alice.get_item(conversation.id, payloads[1]["id"])
    with pytest.raises(HistoryNotFoundError, match="item_not_found"):
        await alice.delete_item(conversation.id, payloads[1]["id"])


async def test_what_is_foreign_is_forbidden_and_what_is_unknown_is_not_found(
    alice: UserHistory, bob: UserHistory
) -> None:
    conversation = await alice.put_conversation(conversation_put())
    payload = user_message(conversation.id)
    await alice.put_item(conversation.id, payload["id"], payload)
    before = (await alice.list_items(conversation.id)).data

    unknown = new_id("thr")
    for identifier, error, code in (
        (conversation.id, HistoryForbiddenError, "conversation_forbidden"),
        (unknown, HistoryNotFoundError, "conversation_not_found"),
    ):
        foreign = user_message(identifier, item_id=payload["id"])
        for call in (
            bob.get_conversation(identifier),
            bob.list_items(identifier),
            bob.list_items(identifier, after=payload["id"]),
            bob.list_messages(identifier),
            bob.list_runs(identifier),
            bob.get_item(identifier, payload["id"]),
            bob.put_item(identifier, payload["id"], foreign),
            bob.put_item(identifier, "msg_new", user_message(identifier, item_id="msg_new")),
            bob.delete_item(identifier, payload["id"]),
            bob.delete_conversation(identifier),
        ):
            with pytest.raises(error, match=code):
                await call
    assert (await alice.list_items(conversation.id)).data == before


async def test_two_users_may_use_the_same_item_id(alice: UserHistory, bob: UserHistory) -> None:
    for user in (alice, bob):
        conversation = await user.put_conversation(conversation_put())
        payload = user_message(conversation.id, item_id="msg_same")
        await user.put_item(conversation.id, "msg_same", payload)
        assert await user.get_item(conversation.id, "msg_same") == payload
