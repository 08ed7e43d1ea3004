"""`/v1/conversations/{id}/items` as the real `openai` client sees it: one log, exact, in order."""

import asyncio
import random
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from contracts.conversations import JsonObject, ToolCall
from history_client import HistoryConflictError, UserHistory
from history_service.storage import openai_items as storage
from tests.support.history import assistant_message, conversation_put, item, tool_widget, user_message
from tests.support.openai_items import EXAMPLES

CALL = ToolCall(id="call_1", name="add_task", arguments={"title": "milk"}, output="added", status="completed")


class Log:
    """One conversation through the client, with items as plain JSON."""

    def __init__(self, client: AsyncOpenAI, conversation_id: str) -> None:
        self.conversations = client.conversations
        self.client = client.conversations.items
        self.id = conversation_id

    async def add(self, *items: Any) -> list[JsonObject]:
        return [entry.model_dump(exclude_unset=True) for entry in (await self.client.create(self.id, items=items)).data]

    async def page(self, **query: Any) -> tuple[list[JsonObject], bool, str | None]:
        page = await self.client.list(self.id, **query)
        return [entry.model_dump(exclude_unset=True) for entry in page.data], bool(page.has_more), page.last_id

    async def all(self) -> list[JsonObject]:
        return [entry.model_dump(exclude_unset=True) async for entry in self.client.list(self.id, order="asc")]

    async def get(self, item_id: str) -> JsonObject:
        return (await self.client.retrieve(item_id, conversation_id=self.id)).model_dump(exclude_unset=True)

    async def delete(self, item_id: str) -> None:
        assert (await self.client.delete(item_id, conversation_id=self.id)).id == self.id


@pytest.fixture
async def log(alice_openai: AsyncOpenAI) -> Log:
    return Log(alice_openai, (await alice_openai.conversations.create()).id)


def says(text: str, **members: Any) -> JsonObject:
    return {"type": "message", "role": "user", "content": text, **members}


async def test_every_type_comes_back_as_it_was_sent(log: Log, subtests: pytest.Subtests) -> None:
    sent = list(EXAMPLES.values())
    stored = await log.add(*sent[:20]) + await log.add(*sent[20:])
    for before, after in zip(sent, stored, strict=True):
        with subtests.test(before["type"]):
            if before["type"] == "message":
                before = before | {"content": [{"type": "input_text", "text": before["content"]}]}
            assert after == {"status": "completed", "id": after["id"]} | before or after == before | {"id": after["id"]}
            assert await log.get(after["id"]) == after
    assert await log.all() == stored


async def test_a_result_in_a_later_request_settles_its_call(log: Log, alice: UserHistory) -> None:
    first, second = await log.add(
        EXAMPLES["function_call"], EXAMPLES["function_call"] | {"call_id": "call_9", "name": "list_tasks"}
    )

    async def statuses() -> list[str]:
        messages = (await alice.list_messages(log.id)).data
        return [call.status for message in messages for call in message.tool_calls]

    assert await statuses() == ["in_progress", "in_progress"]
    (done,) = await log.add(EXAMPLES["function_call_output"])
    assert await statuses() == ["completed", "in_progress"]
    (failed,) = await log.add(EXAMPLES["function_call_output"] | {"call_id": "call_9", "status": "incomplete"})
    assert await statuses() == ["completed", "failed"]
    await log.add(EXAMPLES["function_call_output"] | {"call_id": "call_of_nobody"})
    assert await statuses() == ["completed", "failed"]
    assert (await log.all())[:2] == [first, second], "the calls are still what was sent"
    await log.delete(failed["id"])
    await log.delete(done["id"])
    assert await statuses() == ["in_progress", "in_progress"]


async def test_a_call_id_that_is_used_again_means_the_newest_call(log: Log, alice: UserHistory) -> None:
    call, output = EXAMPLES["function_call"], EXAMPLES["function_call_output"]
    await log.add(call, output | {"output": "one"}, call)
    (second,) = await log.add(output | {"output": "two"})
    called = [call for message in (await alice.list_messages(log.id)).data for call in message.tool_calls]
    assert [call.output for call in called] == ["one", "two"]
    await log.delete(second["id"])
    called = [call for message in (await alice.list_messages(log.id)).data for call in message.tool_calls]
    assert [call.output for call in called] == ["one", None]


@pytest.mark.parametrize(("between", "status"), [(4, "completed"), (5, "in_progress")])
async def test_a_call_is_looked_for_a_bounded_way_back(
    log: Log, alice: UserHistory, monkeypatch: pytest.MonkeyPatch, between: int, status: str
) -> None:
    monkeypatch.setattr(storage, "CALL_WINDOW", 5)
    await log.add(EXAMPLES["function_call"], *(says(str(number)) for number in range(between)))
    await log.add(EXAMPLES["function_call_output"])
    assert (await alice.list_messages(log.id)).data[0].tool_calls[0].status == status


async def test_the_same_item_again_changes_nothing(log: Log, alice: UserHistory) -> None:
    sent = [says("Hi", id="msg_mine"), EXAMPLES["reasoning"] | {"id": "rs_1"}]
    stored = await log.add(*sent)
    assert [entry["id"] for entry in stored] == ["msg_mine", "rs_1"]
    assert await log.add(*sent) == stored
    assert await log.add(*stored) == stored, "as it was answered, too"
    again = await log.add(sent[0], sent[0], says("More"))
    assert again[:2] == [stored[0]] * 2
    assert [entry["id"] for entry in await log.all()] == ["msg_mine", "rs_1", again[2]["id"]]
    assert [message.position for message in (await alice.list_messages(log.id)).data] == [1, 3]


async def test_another_item_with_the_same_id_is_refused_with_all_beside_it(log: Log) -> None:
    stored = await log.add(says("Hi", id="msg_mine"))
    for items in ([says("New"), says("Ho", id="msg_mine")], [says("a", id="msg_2"), says("b", id="msg_2")]):
        with pytest.raises(openai.ConflictError) as refused:
            await log.add(*items)
        assert refused.value.code == "item_conflict"
        assert refused.value.response.headers["x-should-retry"] == "false"
    assert await log.all() == stored


async def test_a_request_that_is_repeated_under_its_key_is_carried_out_once(log: Log) -> None:
    headers = {"Idempotency-Key": "once"}
    answers = [await log.client.create(log.id, items=[says("Hi")], extra_headers=headers) for _ in range(2)]  # pyright: ignore[reportArgumentType]
    assert answers[0] == answers[1]
    assert len(await log.all()) == 1
    with pytest.raises(openai.BadRequestError) as refused:
        await log.client.create(log.id, items=[says("Ho")], extra_headers=headers)  # pyright: ignore[reportArgumentType]
    assert refused.value.code == "idempotency_key_reused"
    conversations = [await log.conversations.create(extra_headers={"Idempotency-Key": "new"}) for _ in range(2)]
    assert conversations[0] == conversations[1]


async def test_placeholders_of_the_sdk_are_no_ids(log: Log) -> None:
    stored = await log.add(*(says(text, id="__fake_id__") for text in ("a", "b")))
    assert len({entry["id"] for entry in stored}) == 2


async def in_chatkit(alice: UserHistory) -> str:
    """A conversation with rows of all sorts, written by the worker and the chat-service."""
    thread = (await alice.put_conversation(conversation_put())).id
    several = [CALL, CALL.model_copy(update={"id": "call_2", "status": "in_progress", "output": None}), CALL]
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


IDS = [
    "msg_1", "msgc_shcx_1", "fcc_tc_1", "fcr_tc_1",
    "fcc_tc_2", "fcr_tc_2", "fcc1_tc_2", "fcc2_tc_2", "fcr2_tc_2",
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
    for unknown in ("tc_1", "fcc1_tc_1", "fcr1_tc_2", "fcc0_tc_1", "msgc_msg_1", "msg_eot", "msg_3"):
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


async def test_a_page_names_its_first_and_last_item(log: Log) -> None:
    stored = [entry["id"] for entry in await log.add(*(says(str(number)) for number in range(20)))]
    await log.add(says("20"))
    raw = await log.client.with_raw_response.list(log.id, order="asc", include=["reasoning.encrypted_content"])
    page: Any = await raw.http_response.aread() and raw.http_response.json()
    assert (page["object"], page["has_more"], len(page["data"])) == ("list", True, 20)
    assert (page["first_id"], page["last_id"]) == (stored[0], stored[-1])


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
        await log.delete(seen[-2])
    assert [identifier for identifier in seen if identifier in IDS] == expected
    assert len(set(seen)) == len(seen)


async def test_a_cursor_of_another_list_is_refused(log: Log, alice_openai: AsyncOpenAI, alice: UserHistory) -> None:
    other = Log(alice_openai, await in_chatkit(alice))
    await log.add(says("Hi"))
    for cursor in ("msg_1", "fcc_tc_1", "tc_1", "conv_1"):
        with pytest.raises(openai.BadRequestError) as refused:
            await log.page(after=cursor)
        assert refused.value.code == "invalid_cursor"
    with pytest.raises(openai.BadRequestError):
        await other.page(after="msg_eot")


async def test_items_of_chatkit_can_be_deleted_one_by_one(alice_openai: AsyncOpenAI, alice: UserHistory) -> None:
    log = Log(alice_openai, await in_chatkit(alice))
    left = list(IDS)
    await log.delete("fcr_tc_1")
    left.remove("fcr_tc_1")
    assert [entry["id"] for entry in await log.all()] == left
    (widget,) = [message for message in (await alice.list_messages(log.id)).data if message.id == "tc_1"]
    assert (widget.tool_calls[0].status, widget.tool_calls[0].output) == ("in_progress", None)
    await log.delete("fcc_tc_1")
    await log.delete("msgc_shcx_1")
    await log.delete("msg_1")
    assert [entry["id"] for entry in await log.all()] == left[3:]
    await log.delete("fcc1_tc_2")
    assert [entry["call_id"] for entry in (await log.all())[:4]] == ["call_1"] * 4
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


async def test_concurrent_writers_leave_no_gap_and_keep_their_order(log: Log, alice: UserHistory) -> None:
    batches = [[says(f"{writer}-{number}") for number in range(5)] for writer in range(8)]
    singles = [user_message(log.id) for _ in range(8)]
    await asyncio.gather(
        *(log.add(*batch) for batch in batches),
        *(alice.put_item(log.id, payload["id"], payload) for payload in singles),
    )
    messages = (await alice.list_messages(log.id, limit=100)).data
    assert [message.position for message in messages] == list(range(1, 49))
    said = [message.content for message in messages]
    for writer in range(8):
        first = said.index(f"{writer}-0")
        assert said[first : first + 5] == [f"{writer}-{number}" for number in range(5)]


async def test_writing_and_deleting_at_once_never_fails(log: Log, alice: UserHistory) -> None:
    """Calls, their results and their deletions lock the same rows."""
    order = random.Random(5)  # noqa: S311 - the same order every time
    pairs = [await log.add(EXAMPLES["function_call"], EXAMPLES["function_call_output"]) for _ in range(6)]
    doomed = [entry["id"] for pair in pairs for entry in pair]
    order.shuffle(doomed)
    await asyncio.gather(
        *(log.delete(item_id) for item_id in doomed),
        *(log.add(EXAMPLES["function_call"], EXAMPLES["function_call_output"]) for _ in range(6)),
    )
    assert len(await log.all()) == 12
    with pytest.raises(HistoryConflictError):
        await alice.append_item(log.id, user_message(log.id, "x", (await log.all())[0]["id"]))
