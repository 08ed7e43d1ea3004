"""Which model the page is told of."""

from typing import Any

import pytest

from chat_service.settings import Settings


@pytest.mark.parametrize(
    ("given", "provider"),
    [
        ({}, "demo"),
        ({"openai_api_key": "sk-x"}, "openai"),
        ({"model_base_url": "http://models"}, "compatible"),
        ({"model_base_url": "http://models", "openai_api_key": "sk-x"}, "openai"),
        ({"model_provider": "demo", "openai_api_key": "sk-x"}, "demo"),
        ({"model_provider": "openai"}, "openai"),
    ],
)
def test_the_provider_is_the_workers(given: dict[str, Any], provider: str) -> None:
    assert Settings.model_validate(given).provider == provider


def test_a_key_is_not_shown() -> None:
    assert "sk-secret" not in repr(Settings.model_validate({"openai_api_key": "sk-secret"}))
