"""A newer attempt that has gone on without Redis, and corrects what readers see once it is back."""

import asyncio
from urllib.parse import urlsplit

import pytest

from agent_worker import events, execution
from contracts.conversations import ItemPut, ToolCall
from contracts.ids import new_id
from contracts.runs import RunItemsPut
from tests.integration.agent_worker.conftest import Stage, script
from tests.support.history import claim_one
from tests.support.models import says_and_waits
from tests.support.tcp_proxy import tcp_proxy


async def test_a_call_that_was_finished_meanwhile_does_not_begin_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "TAKE_OVER_SECONDS", 0.05)
    run = await stage.ask("Add milk")
    dead = await claim_one(stage.worker_history, "dead")
    assert dead is not None
    item_id, call = new_id("msg"), ToolCall(id="c1", name="add_task", arguments={"title": "milk"})
    put = ItemPut(payload=events.tool_item(item_id, run.conversation_id, call), tool_calls=[call])
    await stage.worker_history.put_run_items(run.id, RunItemsPut(attempt=1, items=[put]), token=dead.token)
    await stage.worker_history.release_run(run.id, 1)
    port = urlsplit(stage.redis_url).port
    assert port is not None
    spoken, go_on = asyncio.Event(), asyncio.Event()
    async with tcp_proxy(port) as proxy:
        proxy.hold()
        slow = stage.redis_url.replace(f":{port}", f":{proxy.port}")
        async with stage.worker(script(says_and_waits("It is ", spoken, go_on)), redis_url=slow):
            await asyncio.wait_for(spoken.wait(), 10)
            proxy.release()
            go_on.set()
            await stage.end_of(run)
            await stage.last_event(run, "run.failed")
    shown = [event for event in await stage.events(run) if event["type"].startswith("thread.item.")]
    about = [event["type"] for event in shown if item_id in (event.get("item_id"), event.get("item", {}).get("id"))]
    assert about == ["thread.item.updated", "thread.item.done"]
