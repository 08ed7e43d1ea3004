"""Settings of the history-service."""

from datetime import timedelta

from pydantic import Field

from service_kit.database import DatabaseSettings


class Settings(DatabaseSettings):
    """Read once from the environment, frozen, passed in. Names are the fields in capitals."""

    history_port: int = Field(default=8020, ge=0, le=65535)

    context_messages: int = Field(default=15, ge=1, le=1000)
    """How many messages before and including the user's newest one the model gets to see."""

    run_lease_seconds: float = Field(default=15.0, gt=0, le=60)
    """How long a claimed run belongs to its worker without a heartbeat."""

    run_max_attempts: int = Field(default=3, ge=1)
    """A run whose lease expires in this attempt has failed."""

    max_body_bytes: int = Field(default=4 * 1024 * 1024, gt=0)
    """Longest request body; a longer one is answered 413."""

    @property
    def run_lease(self) -> timedelta:
        """The lease as a duration."""
        return timedelta(seconds=self.run_lease_seconds)
