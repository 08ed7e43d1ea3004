"""Which model the workers will use, after the rule of MODEL_PROVIDER."""

from collections.abc import Mapping
from dataclasses import dataclass

from launcher.settings import SettingsError

PROVIDERS = ("openai", "compatible", "demo")


@dataclass(frozen=True)
class ModelChoice:
    """The provider, and the model's name if one is set."""

    provider: str
    model: str | None

    def __str__(self) -> str:
        if self.provider == "demo":
            return "demo (no key needed; set OPENAI_API_KEY, or MODEL_BASE_URL and MODEL, for a real one)"
        return f"{self.model or 'the default model'} ({self.provider})"


def choose_model(environment: Mapping[str, str]) -> ModelChoice:
    """Apply the rule: MODEL_PROVIDER if set; openai with OPENAI_API_KEY; compatible with MODEL_BASE_URL; else demo."""
    provider = environment.get("MODEL_PROVIDER")
    if provider is None:
        if environment.get("OPENAI_API_KEY"):
            provider = "openai"
        else:
            provider = "compatible" if environment.get("MODEL_BASE_URL") else "demo"
    if provider not in PROVIDERS:
        raise SettingsError(f"MODEL_PROVIDER={provider}: expected one of {', '.join(PROVIDERS)}.")
    if provider == "openai" and not environment.get("OPENAI_API_KEY"):
        raise SettingsError("MODEL_PROVIDER=openai needs OPENAI_API_KEY.")
    if provider == "compatible" and not environment.get("MODEL_BASE_URL"):
        raise SettingsError("MODEL_PROVIDER=compatible needs MODEL_BASE_URL.")
    return ModelChoice(provider, environment.get("MODEL"))
