"""What comes of answers that are none, or are too much: each ends its run at the first attempt, and visibly."""

import json
from typing import Any

import pytest
from agents.testing import ModelStep
from httpx2 import Request
from openai import APIError
from openai.types.responses import ResponseOutputMessage, ResponseOutputRefusal, ResponseReasoningItem

from contracts.runs import Run
from tests.integration.agent_worker.conftest import Stage, script
from tests.support.models import calls, raw_call, says


async def end_of(stage: Stage, *steps: object, **settings: Any) -> Run:
    """Let the model answer, and return the run once its end is in its log too."""
    run = await stage.ask()
    async with stage.worker(script(*steps), **settings):
        ended = await stage.end_of(run)
        await stage.last_event(run, f"run.{ended.status}")
    assert ended.attempt == 1
    return ended


def code_of(run: Run) -> str | None:
    """Return why the run failed."""
    return run.error and run.error.code


async def test_a_refusal_is_an_answer(stage: Stage) -> None:
    refusal = ResponseOutputRefusal(type="refusal", refusal="I will not.")
    message = ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[refusal])
    ended = await end_of(stage, message)
    assert ended.status == "completed"
    assert ended.usage is not None
    assert ended.usage.requests == 1
    last = (await stage.messages(ended))[-1]
    assert (last.content, last.status) == ("I will not.", "completed")


@pytest.mark.parametrize(
    "step",
    [[], says(""), ResponseReasoningItem(id="rs_1", type="reasoning", summary=[])],
    ids=["nothing", "an empty text", "only thoughts"],
)
async def test_an_answer_that_says_nothing_is_told_as_a_failure(stage: Stage, step: object) -> None:
    ended = await end_of(stage, step)
    assert (ended.status, code_of(ended)) == ("failed", "empty_answer")
    assert [message.kind for message in await stage.messages(ended)] == ["user_message"]
    assert [event["allow_retry"] for event in await stage.events(ended) if event["type"] == "error"] == [True]


async def test_after_tool_calls_nothing_needs_to_be_said(stage: Stage) -> None:
    ended = await end_of(stage, [says(""), calls("list_tasks")], [])
    assert ended.status == "completed"
    assert [message.kind for message in await stage.messages(ended)] == ["user_message", "widget"]


async def test_a_text_without_end_is_kept_as_far_as_it_may_go(stage: Stage) -> None:
    ended = await end_of(stage, says("\u0001" * 5_000_000))
    assert (ended.status, code_of(ended)) == ("failed", "answer_too_long")
    last = (await stage.messages(ended))[-1]
    assert (last.content, last.status) == ("\u0001" * 500_000, "incomplete")


async def test_calls_that_are_too_much_together_are_not_made(stage: Stage) -> None:
    title = json.dumps({"title": "x" * 150_000})
    made = [raw_call("add_task", title, f"c{number}") for number in range(30)]
    ended = await end_of(stage, [says("Thirty tasks."), *made])
    assert (ended.status, code_of(ended)) == ("failed", "answer_too_long")
    assert [message.content for message in await stage.messages(ended)] == ["Hello", "Thirty tasks."]


async def test_each_response_of_a_run_has_the_whole_room(stage: Stage) -> None:
    asks = [[says("x" * 600), calls("list_tasks", f"c{number}")] for number in range(3)]
    ended = await end_of(stage, *asks, says("y" * 1500), run_response_max_chars=2000)
    assert ended.status == "completed"


async def test_an_error_in_the_models_stream_is_the_models(stage: Stage) -> None:
    error = APIError("overloaded", Request("POST", "http://model"), body=None)
    assert code_of(await end_of(stage, ModelStep.raise_error(error))) == "model_error"
