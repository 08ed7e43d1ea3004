"""Settings of the agent-worker."""

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from service_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read once from the environment."""

    worker_port: int = 8030
    history_url: str = "http://127.0.0.1:8020"
    tools_url: str = "http://127.0.0.1:8040"
    redis_url: str = "redis://127.0.0.1:6379/0"

    worker_concurrency: int = Field(default=8, ge=1)
    """Runs executed at once; a run is claimed only when there is room for it."""

    worker_poll_seconds: float = Field(default=1.0, gt=0)
    """Longest wait before asking for a run again, whether or not a wake-up came."""

    worker_drain_seconds: float = Field(default=8.0, ge=0)
    """After SIGTERM, how long active runs may take to end before their leases are released."""

    run_lease_seconds: float = Field(default=15.0, gt=0)
    """A run whose lease was not renewed for so long belongs to somebody else."""

    run_timeout_seconds: float = Field(default=600.0, gt=0)
    """A run that takes longer, over all its attempts, fails."""

    run_max_turns: int = Field(default=128, ge=1)
    """Model requests in one run."""

    run_response_max_chars: int = Field(default=500_000, ge=1)
    """Characters of one response of the model, its tool calls included; a run that hears more fails. Up to six times as
    many bytes are sent to the history-service in one request, which takes MAX_BODY_BYTES of it."""

    relay_flush_ms: float = Field(default=40.0, ge=0)
    """Text is sent at once, then at most this often."""

    run_log_seconds: int = Field(default=3600, ge=1)
    """Life of a run's event log after its newest event or, while it is quiet, the newest renewal of the lease."""

    run_log_after_end_seconds: int = Field(default=600, ge=1)
    """Life of a run's event log after its terminal event."""

    run_log_max_events: int = Field(default=10_000, ge=1)
    """About how many events a run's log holds; the oldest give way. Who needs those gets the stored items instead."""

    event_delivery_seconds: float = Field(default=5.0, gt=0)
    """At the end of a run, how long to keep trying to hand its last events to Redis."""

    tool_timeout_seconds: float = Field(default=10.0, gt=0)
    tool_patience_seconds: float = Field(default=60.0, ge=0)
    """How long a tool call whose connection broke is tried again; safe because of its idempotency key."""

    tool_connections: int = Field(default=4, ge=1)
    """Pooled MCP connections; each carries one call at a time."""

    model_provider: Literal["openai", "compatible", "demo"] | None = None
    """Default: `openai` with `OPENAI_API_KEY`, else `compatible` with `MODEL_BASE_URL`, else `demo`."""

    model: str | None = None
    """Model name; the Agents SDK's default for `openai`, required for `compatible`."""

    model_base_url: str | None = None
    model_api_key: SecretStr | None = None
    model_api: Literal["chat_completions", "responses"] = "chat_completions"
    """Which API a `compatible` model speaks."""

    model_timeout_seconds: float = Field(default=120.0, gt=0)
    """Longest silence of a model."""

    openai_api_key: SecretStr | None = None
    demo_tokens_per_second: float = Field(default=50.0, gt=0)

    @property
    def provider(self) -> Literal["openai", "compatible", "demo"]:
        """The provider in force."""
        if self.model_provider is not None:
            return self.model_provider
        if self.openai_api_key is not None:
            return "openai"
        return "compatible" if self.model_base_url else "demo"

    @model_validator(mode="after")
    def _provider_is_complete(self) -> Self:
        if self.provider == "openai" and self.openai_api_key is None:
            raise ValueError("MODEL_PROVIDER=openai needs OPENAI_API_KEY")
        if self.provider == "compatible" and not (self.model_base_url and self.model):
            raise ValueError("MODEL_PROVIDER=compatible needs MODEL_BASE_URL and MODEL")
        return self
