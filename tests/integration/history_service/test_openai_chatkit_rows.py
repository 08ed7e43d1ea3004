"""Rows that ChatKit and the worker wrote, as items of the real `openai` client: each can be paged from and deleted."""

import openai
import pytest
from openai import AsyncOpenAI

from contracts.conversations import ToolCall
from history_client import UserHistory
from history_service.openai_projection.ids import call_part_id
from tests.support.history import assistant_message, conversation_put, item, tool_widget, user_message
from tests.support.openai_clients import Log, says
from tests.support.openai_items import EXAMPLES

CALL = ToolCall(id="call_1", name="add_task", arguments={"title": "milk"}, output="added", status="completed")


@pytest.fixture
async def log(alice_openai: AsyncOpenAI) -> Log:
    return Log(alice_openai, (await alice_openai.conversations.create()).id)


async def in_chatkit(alice: UserHistory) -> str:
    """A conversation with rows of all sorts, written by the worker and the chat-service."""
    thread = (await alice.put_conversation(conversation_put())).id
    running = CALL.model_copy(update={"id": "call_2", "status": "in_progress", "output": None})
    several = [CALL, running, CALL.model_copy(update={"id": "call_3"})]
    for payload, tool_calls in (
        (user_message(thread, "Add milk", "msg_1"), []),
        (item(thread, "end_of_turn", "msg_eot"), []),
        (item(thread, "hidden_context_item", "shcx_1", content="Alice is in a hurry."), []),
        (tool_widget(thread, CALL, "tc_1").payload, [CALL]),
        (item(thread, "generated_image", "img_1", image=None), []),
        (tool_widget(thread, CALL, "tc_2").payload, several),
        (item(thread, "task", "tsk_1", task={"type": "custom", "title": "Look", "content": ""}), []),
        (assistant_message(thread, "Done", "msg_2"), []),
        (item(thread, "end_of_turn", "msg_eot2"), []),
    ):
        await alice.put_item(thread, payload["id"], payload, tool_calls)
    return thread


def call(row_id: str, number: int = 1) -> str:
    return call_part_id("fcc", row_id, f"call_{number}")


def result(row_id: str, number: int = 1) -> str:
    return call_part_id("fcr", row_id, f"call_{number}")


IDS = [
    "msg_1", "msgc_shcx_1", call("tc_1"), result("tc_1"),
    call("tc_2"), result("tc_2"), call("tc_2", 2), call("tc_2", 3), result("tc_2", 3),
    "msgc_tsk_1", "msg_2",
]  # fmt: skip


async def test_what_chatkit_wrote_is_read_item_by_item(alice_openai: AsyncOpenAI, alice: UserHistory) -> None:
    log = Log(alice_openai, await in_chatkit(alice))
    items = await log.all()
    assert [entry["id"] for entry in items] == IDS
    assert [entry.get("role") for entry in items if entry["type"] == "message"] == [
        "user", "system", "assistant", "assistant",
    ]  # fmt: skip
    for entry in items:
        assert await log.get(entry["id"]) == entry
    assert await log.add(*items) == items, "they are all there already"
    for unknown in ("tc_1", call("tc_1", 2), result("tc_2", 2), "msgc_msg_1", "msg_eot", "msg_3"):
        with pytest.raises(openai.NotFoundError, match="no such item"):
            await log.get(unknown)


async def test_pages_are_exact_at_every_item(alice_openai: AsyncOpenAI, alice: UserHistory) -> None:
    log = Log(alice_openai, await in_chatkit(alice))
    await log.add(says("Hi", id="msg_3"), EXAMPLES["function_call"] | {"id": "fc_1"})
    ids = [*IDS, "msg_3", "fc_1"]
    for order, expected in (("asc", ids), ("desc", ids[::-1])):
        for limit in (1, 2, 3, 7, len(ids), len(ids) + 1):
            for start, after in enumerate([None, *expected]):
                query = {"after": after} if after else {}
                data, has_more, last_id = await log.page(order=order, limit=limit, **query)
                assert [entry["id"] for entry in data] == expected[start : start + limit]
                assert has_more == (start + limit < len(ids))
                assert last_id == (data[-1]["id"] if data else None)
    data, has_more, _ = await log.page()
    assert [entry["id"] for entry in data] == ids[::-1], "20 at most, newest first, unless asked otherwise"


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_are_stable_while_items_come_and_go(
    alice_openai: AsyncOpenAI, alice: UserHistory, order: str
) -> None:
    log = Log(alice_openai, await in_chatkit(alice))
    expected = IDS if order == "asc" else IDS[::-1]
    seen: list[str] = []
    after: str | None = None
    for _ in range(len(IDS)):
        data, has_more, after = await log.page(order=order, limit=2, **({"after": after} if after else {}))
        seen.extend(entry["id"] for entry in data)
        if not has_more:
            break
        await log.add(says("Meanwhile"))
        # A call would take its result along, and with it the cursor.
        if not seen[-2].startswith("fcc"):
            await log.delete(seen[-2])
    assert [identifier for identifier in seen if identifier in IDS] == expected
    assert len(set(seen)) == len(seen)


async def test_a_cursor_of_another_list_is_refused(log: Log, alice_openai: AsyncOpenAI, alice: UserHistory) -> None:
    other = Log(alice_openai, await in_chatkit(alice))
    await log.add(says("Hi"))
    for cursor in ("msg_1", call("tc_1"), "tc_1", "conv_1"):
        with pytest.raises(openai.BadRequestError) as refused:
            await log.page(after=cursor)
        assert refused.value.code == "invalid_cursor"
    with pytest.raises(openai.BadRequestError):
        await other.page(after="msg_eot")


async def test_items_of_chatkit_can_be_deleted_one_by_one(alice_openai: AsyncOpenAI, alice: UserHistory) -> None:
    log = Log(alice_openai, await in_chatkit(alice))
    left = list(IDS)
    await log.delete(result("tc_1"))
    left.remove(result("tc_1"))
    assert [entry["id"] for entry in await log.all()] == left
    (widget,) = [message for message in (await alice.list_messages(log.id)).data if message.id == "tc_1"]
    assert (widget.tool_calls[0].status, widget.tool_calls[0].output) == ("in_progress", None)
    await log.delete(call("tc_1"))
    await log.delete("msgc_shcx_1")
    await log.delete("msg_1")
    assert [entry["id"] for entry in await log.all()] == left[3:]
    await log.delete(call("tc_2", 1))
    assert [entry["id"] for entry in await log.all()] == left[5:]
    kinds = [entry["type"] for entry in (await alice.list_items(log.id, include_hidden=True)).data]
    assert kinds == ["end_of_turn", "generated_image", "widget", "task", "assistant_message", "end_of_turn"]
    with pytest.raises(openai.NotFoundError) as gone:
        await log.delete("msg_1")
    assert gone.value.code == "item_not_found"


async def test_what_chatkit_replaces_is_read_anew(log: Log, alice: UserHistory) -> None:
    (stored,) = await log.add(says("Hi", status="incomplete"))
    await alice.put_item(log.id, stored["id"], user_message(log.id, "Hello", stored["id"]))
    (read,) = await log.all()
    assert (read["content"][0]["text"], read["status"]) == ("Hello", "completed")


async def test_an_id_of_another_conversation_is_given_anew(
    log: Log, alice_openai: AsyncOpenAI, alice: UserHistory
) -> None:
    items = await Log(alice_openai, await in_chatkit(alice)).all()
    copied = await log.add(*items)
    derived = [entry["id"].startswith(("fcc", "fcr", "msgc")) for entry in items]
    assert [old["id"] != new["id"] for old, new in zip(items, copied, strict=True)] == derived
    assert [{**old, "id": ""} for old in items] == [{**new, "id": ""} for new in copied]
    assert await log.all() == copied


async def test_a_row_of_chatkit_is_not_taken_for_an_item(alice_openai: AsyncOpenAI, alice: UserHistory) -> None:
    log = Log(alice_openai, await in_chatkit(alice))
    with pytest.raises(openai.ConflictError):
        await log.add(EXAMPLES["function_call"] | {"id": "tc_1"})


async def test_a_call_without_words_is_listed(log: Log, alice: UserHistory) -> None:
    widget = tool_widget(log.id, ToolCall(id="call_1", name=""), "tc_1")
    await alice.put_item(log.id, "tc_1", widget.payload, widget.tool_calls)
    assert [entry["id"] for entry in await log.all()] == [call("tc_1")]
