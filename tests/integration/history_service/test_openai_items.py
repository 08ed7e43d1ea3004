"""`/v1/conversations/{id}/items` as the real `openai` client sees it: one log, exact, in order."""

import asyncio
import random
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from history_client import HistoryConflictError, UserHistory
from history_service.storage import openai_items as storage
from tests.support.history import user_message
from tests.support.openai_clients import Log, says
from tests.support.openai_items import EXAMPLES


@pytest.fixture
async def log(alice_openai: AsyncOpenAI) -> Log:
    return Log(alice_openai, (await alice_openai.conversations.create()).id)


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


async def test_a_deleted_result_opens_the_call_before_it(log: Log, alice: UserHistory) -> None:
    call, output = EXAMPLES["function_call"], EXAMPLES["function_call_output"]
    _, first, _, _ = await log.add(call, output, call, output)
    await log.delete(first["id"])
    called = [call for message in (await alice.list_messages(log.id)).data for call in message.tool_calls]
    assert [call.status for call in called] == ["in_progress", "completed"]


async def test_items_that_say_nothing_are_listed_if_they_came_as_items(log: Log) -> None:
    stored = await log.add({"role": "assistant", "content": []}, says(""), EXAMPLES["reasoning"] | {"summary": []})
    assert await log.all() == stored


async def test_two_calls_with_one_id_are_both_settled(log: Log, alice: UserHistory) -> None:
    call, output = EXAMPLES["function_call"], EXAMPLES["function_call_output"]
    await log.add(call, call, output | {"output": "one"}, output | {"output": "two"})
    called = [call for message in (await alice.list_messages(log.id)).data for call in message.tool_calls]
    assert [call.output for call in called] == ["two", "one"]


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


async def test_a_page_names_its_first_and_last_item(log: Log) -> None:
    stored = [entry["id"] for entry in await log.add(*(says(str(number)) for number in range(20)))]
    await log.add(says("20"))
    raw = await log.client.with_raw_response.list(log.id, order="asc", include=["reasoning.encrypted_content"])
    page: Any = await raw.http_response.aread() and raw.http_response.json()
    assert (page["object"], page["has_more"], len(page["data"])) == ("list", True, 20)
    assert (page["first_id"], page["last_id"]) == (stored[0], stored[-1])


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
