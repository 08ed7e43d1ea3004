"""The models that are reached over the network, through the SDK's own clients."""

import asyncio
from typing import Any, Literal

import pytest
from pydantic import SecretStr, ValidationError

from agent_worker.models.provider import open_model
from agent_worker.settings import Settings
from tests.integration.agent_worker.conftest import Stage
from tests.support.model_server import WORDS, create_model_server
from tests.support.servers import eventually, serve


@pytest.mark.parametrize("api", ["chat_completions", "responses"])
async def test_a_compatible_model_calls_tools_and_streams(
    stage: Stage, api: Literal["chat_completions", "responses"]
) -> None:
    seen: list[dict[str, Any]] = []
    go_on = asyncio.Event()

    async def deltas() -> list[str]:
        updates = [event.get("update", {}) for event in await stage.events(run)]
        return [update["delta"] for update in updates if "delta" in update]

    async def first_word_is_shown() -> bool:
        return await deltas() == [WORDS[0]]

    run = await stage.ask("Add a task to buy milk")
    async with serve(create_model_server(seen, go_on)) as url:
        settings = Settings(
            model_provider="compatible",
            model="stub",
            model_base_url=f"{url}/v1",
            model_api_key=SecretStr("model-key"),
            model_api=api,
        )
        async with open_model(settings) as model, stage.worker(model):
            await eventually(first_word_is_shown, what="a word is shown before the model has said the next")
            go_on.set()
            ended = await stage.end_of(run)
            await stage.last_event(run, "run.completed")
    assert ended.status == "completed"
    assert await stage.tasks() == ["buy milk"]
    messages = await stage.messages(run)
    assert [message.kind for message in messages] == ["user_message", "widget", "assistant_message"]
    assert messages[-1].content == "".join(WORDS)
    assert "".join(await deltas()) == "".join(WORDS)
    assert len(seen) == 2
    assert all(request["authorization"] == "Bearer model-key" and request["model"] == "stub" for request in seen)


async def test_a_model_that_cannot_be_reached_fails_the_run(stage: Stage) -> None:
    run = await stage.ask()
    async with serve(create_model_server([], asyncio.Event())) as url:
        gone = url
    settings = Settings(model_provider="compatible", model="stub", model_base_url=f"{gone}/v1")
    async with open_model(settings) as model, stage.worker(model):
        ended = await stage.end_of(run)
    assert ended.error is not None
    assert (ended.error.code, ended.error.allow_retry) == ("model_unreachable", True)


def test_the_provider_follows_from_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "MODEL_BASE_URL", "MODEL", "MODEL_PROVIDER"):
        monkeypatch.delenv(name, raising=False)
    assert Settings().provider == "demo"
    assert Settings(openai_api_key=SecretStr("key")).provider == "openai"
    assert Settings(model_base_url="http://model", model="x").provider == "compatible"
    assert Settings(model_provider="demo", openai_api_key=SecretStr("key")).provider == "demo"


@pytest.mark.parametrize("values", [{"model_provider": "openai"}, {"model_base_url": "http://model"}])
def test_an_incomplete_choice_of_model_is_refused_at_start(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="needs"):
        Settings.model_validate(values)
