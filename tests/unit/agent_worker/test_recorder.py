"""What a recorder shows of a tool call whose intent was being stored when the run was stopped."""

import asyncio
import json
from typing import Any, cast

import pytest
from openai.types.responses import ResponseFunctionToolCall

from agent_worker.recorder import Recorder
from agent_worker.run_log import RunLog
from contracts.conversations import ItemPut, ToolCall


class Shown:
    """The events that a run's log was given."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.text = ""

    def append(self, *events: bytes) -> None:
        self.kinds += [json.loads(event)["type"] for event in events]

    def append_text(self, item_id: str, delta: str) -> None:
        self.text += delta


async def never_executed(call: ToolCall) -> ToolCall:
    raise AssertionError(call.name)


async def stopped(recorder: Recorder) -> None:
    call = ResponseFunctionToolCall(type="function_call", call_id="call_1", name="add_task", arguments="{}")
    recorder.tools = {"add_task": False}
    with pytest.raises(asyncio.CancelledError):
        await recorder.response_completed([call])


@pytest.fixture
def shown() -> Shown:
    return Shown()


def recorder_of(shown: Shown, store: Any) -> Recorder:
    return Recorder("thr_1", cast("RunLog", shown), store, never_executed, max_chars=1000)


async def test_a_call_that_never_appeared_is_not_updated(shown: Shown) -> None:
    async def store(items: list[ItemPut]) -> None:
        raise asyncio.CancelledError

    recorder = recorder_of(shown, store)
    await stopped(recorder)
    (put,) = recorder.last_items("incomplete")
    assert put.tool_calls[0].status == "failed"
    recorder.publish_last_items()
    assert shown.kinds == ["thread.item.done"]


async def test_a_call_that_appeared_is_seen_to_end(shown: Shown) -> None:
    async def store(items: list[ItemPut]) -> None:
        pass

    recorder = recorder_of(shown, store)
    recorder.tools = {"add_task": False}
    call = ResponseFunctionToolCall(type="function_call", call_id="call_1", name="add_task", arguments="{}")
    await recorder.response_completed([call])
    recorder.last_items("incomplete")
    recorder.publish_last_items()
    assert shown.kinds == ["thread.item.added", "thread.item.updated", "thread.item.done"]


async def test_text_that_utf8_cannot_carry_is_replaced(shown: Shown) -> None:
    """One model's half a surrogate pair must not stop the writer of all logs."""

    async def store(items: list[ItemPut]) -> None:
        pass

    recorder = recorder_of(shown, store)
    for delta in ("Très ", "\ud83d", "\ude00 bien"):
        recorder.text_delta(0, delta)
    assert shown.text == "Très ?? bien"
    (put,) = recorder.last_items("completed")
    assert put.payload["content"][0]["text"] == shown.text
