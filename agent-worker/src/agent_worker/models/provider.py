"""Opens the configured model."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from agents import Model, OpenAIChatCompletionsModel, OpenAIResponsesModel
from agents.models import get_default_model
from openai import AsyncOpenAI
from pydantic import SecretStr

from agent_worker.models.demo import DemoModel
from agent_worker.settings import Settings

NO_KEY = SecretStr("not-needed")
"""Sent to a compatible model without a key: the client insists on one."""


@asynccontextmanager
async def open_model(settings: Settings) -> AsyncGenerator[Model]:
    """Give the model that the settings name, and close its connections at the end."""
    if settings.provider == "demo":
        yield DemoModel(tokens_per_second=settings.demo_tokens_per_second)
        return
    is_compatible = settings.provider == "compatible"
    key = (settings.model_api_key if is_compatible else settings.openai_api_key) or NO_KEY
    async with AsyncOpenAI(
        api_key=key.get_secret_value(),
        base_url=settings.model_base_url if is_compatible else None,
        timeout=settings.model_timeout_seconds,
    ) as client:
        name = settings.model or get_default_model()
        if is_compatible and settings.model_api == "chat_completions":
            yield OpenAIChatCompletionsModel(name, client)
        else:
            yield OpenAIResponsesModel(name, client)
