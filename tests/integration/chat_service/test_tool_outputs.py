"""What a client's tool gives: stored and answered by one run, however often it comes."""

import asyncio
from typing import Any

import httpx
import pytest

from contracts.conversations import JsonObject
from contracts.ids import new_id
from history_client import HistoryUnavailableError, UserHistory
from tests.integration.chat_service.system import System, client_tool_call, message
from tests.integration.chat_service.test_requests import code_of

KIND = "threads.add_client_tool_output"
PICKED = {"picked": [3, None], "by": {"hand": True}}


async def begin_call(system: System) -> JsonObject:
    """Let a worker end its run with a call of a client's tool; returns the call's item."""
    async with system.user().stream("threads.create", input=message("Pick")) as chat:
        await chat.read_until(b"stream_options")
    thread_id = chat.events[0]["thread"]["id"]
    worker = await system.worker.claim()
    item = client_tool_call(thread_id)
    await system.worker.store(worker.run_id, item)
    await system.worker.finish(worker.run_id)
    return item


async def give(system: System, item: JsonObject, result: Any) -> httpx.Response:
    """Give the call's output; returns the head of the answer."""
    user, params = system.user(), {"thread_id": item["thread_id"], "result": result}
    body = {"type": KIND, "params": params}
    async with system.http.stream("POST", "/chatkit", json=body, headers=user.headers) as response:
        if response.status_code != 200:
            await response.aread()
        return response


async def run_ids(system: System, item: JsonObject) -> list[str]:
    """Return the runs of the conversation, without the one that made the call."""
    return [run.id for run in (await system.history_of().list_runs(item["thread_id"])).data[1:]]


@pytest.mark.parametrize("is_stored", [False, True])
async def test_an_output_that_was_not_acknowledged_is_stored_with_its_run_or_not_at_all(
    system: System, monkeypatch: pytest.MonkeyPatch, is_stored: bool
) -> None:
    create = UserHistory.create_run

    async def fail(*arguments: Any) -> None:
        if is_stored:
            await create(*arguments)
        raise HistoryUnavailableError("upstream_unavailable", "It does not answer.")

    item = await begin_call(system)
    with monkeypatch.context() as broken:
        broken.setattr(UserHistory, "create_run", fail)
        assert code_of(await give(system, item, PICKED)) == (503, "upstream_unavailable")
    answered = {**item, "status": "completed", "output": PICKED}
    stored = await system.history_of().get_item(item["thread_id"], item["id"])
    assert (stored, len(await run_ids(system, item))) == ((answered, 1) if is_stored else (item, 0))

    again = await give(system, item, PICKED)
    assert await run_ids(system, item) == [again.headers["x-run-id"]]
    assert await system.history_of().get_item(item["thread_id"], item["id"]) == answered
    assert (await system.worker.claim()).run_id == again.headers["x-run-id"]


async def test_an_output_that_comes_twice_is_answered_once(system: System) -> None:
    item = await begin_call(system)
    answers = await asyncio.gather(*(give(system, item, PICKED) for _ in range(3)))
    answers.append(await give(system, item, PICKED))
    assert {answer.headers["x-run-id"] for answer in answers} == set(await run_ids(system, item))
    assert len(await run_ids(system, item)) == 1


async def test_another_output_and_one_that_was_answered_are_refused(system: System) -> None:
    item = await begin_call(system)
    run_id = (await give(system, item, PICKED)).headers["x-run-id"]
    assert code_of(await give(system, item, {"picked": 4})) == (409, "item_conflict")
    await system.worker.claim()
    await system.worker.say(run_id, new_id("msg"), "Three it is.")
    await system.worker.finish(run_id)
    assert code_of(await give(system, item, PICKED)) == (409, "item_conflict")
    assert await run_ids(system, item) == [run_id]
    assert (await system.history_of().get_item(item["thread_id"], item["id"]))["output"] == PICKED
