"""Settings of the chat-service."""

from typing import Literal

from pydantic import Field, SecretStr

from service_kit.settings import ServiceSettings

ModelProvider = Literal["openai", "compatible", "demo"]
DisconnectPolicy = Literal["detach", "cancel"]


class Settings(ServiceSettings):
    """Read once from the environment."""

    chat_port: int = 8010
    history_url: str = "http://127.0.0.1:8020"
    redis_url: str = "redis://127.0.0.1:6379/0"

    run_lease_seconds: float = Field(default=15.0, gt=0)
    """A stream that was silent for so long asks the history-service about its run."""

    relay_queue_frames: int = Field(default=256, ge=1)
    """Frames that may wait for one slow client; beyond it, the client reads from the log."""

    keepalive_seconds: float = Field(default=15.0, gt=0)
    """A stream that was silent for so long gets a comment, so that no proxy cuts it."""

    disconnect_policy: DisconnectPolicy = "detach"
    """What becomes of a run whose client leaves: it goes on, or is cancelled if nobody reads it after the grace."""

    disconnect_grace_seconds: float = Field(default=10.0, gt=0)
    """How long a client may be away before `DISCONNECT_POLICY=cancel` cancels its run."""

    chat_answer_seconds: float = Field(default=120.0, gt=0)
    """How long the main chat endpoint waits for a run's end; after that it answers with what there is (202)."""

    max_request_bytes: int = Field(default=1024 * 1024, ge=1024)
    """Largest body of a request."""

    model_provider: ModelProvider | None = None
    """The worker's model, for display. Default as in the worker: by the key, then the address, else `demo`."""

    model: str | None = None
    model_base_url: str | None = None
    openai_api_key: SecretStr | None = None
    """Only whether it is there counts, and only without `MODEL_PROVIDER`: this service calls no model."""

    @property
    def provider(self) -> ModelProvider:
        """The provider in force."""
        if self.model_provider is not None:
            return self.model_provider
        if self.openai_api_key is not None:
            return "openai"
        return "compatible" if self.model_base_url else "demo"
