"""Builds the configured model."""

from agents import Model, OpenAIChatCompletionsModel, OpenAIResponsesModel
from agents.models import get_default_model
from openai import AsyncOpenAI

from agent_worker.models.demo import DemoModel
from agent_worker.settings import Settings

NO_KEY = "not-needed"
"""Sent to a compatible model without a key: the client insists on one."""


def create_model(settings: Settings) -> Model:
    """Return the model that the settings name."""
    match settings.provider:
        case "demo":
            return DemoModel(tokens_per_second=settings.demo_tokens_per_second)
        case "openai":
            key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
            client = AsyncOpenAI(api_key=key, timeout=settings.model_timeout_seconds)
            return OpenAIResponsesModel(settings.model or get_default_model(), client)
        case "compatible":
            key = settings.model_api_key.get_secret_value() if settings.model_api_key else NO_KEY
            client = AsyncOpenAI(api_key=key, base_url=settings.model_base_url, timeout=settings.model_timeout_seconds)
            name = settings.model or ""
            if settings.model_api == "responses":
                return OpenAIResponsesModel(name, client)
            return OpenAIChatCompletionsModel(name, client)
