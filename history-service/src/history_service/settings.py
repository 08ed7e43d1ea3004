"""Settings of the history-service."""

from datetime import timedelta

from pydantic import Field, SecretStr

from history_service.domain import RunLimits
from service_kit.database_settings import DatabaseSettings
from service_kit.settings import HttpUrl


class Settings(DatabaseSettings):
    """Read once from the environment, frozen, passed in. Names are the fields in capitals."""

    history_port: int = Field(default=8020, ge=0, le=65535)

    context_messages: int = Field(default=15, ge=1, le=1000)
    """How many messages before and including the user's newest one the model gets to see."""

    run_lease_seconds: float = Field(default=15.0, gt=0, le=60)
    """How long a claimed run belongs to its worker without a heartbeat."""

    run_max_attempts: int = Field(default=3, ge=1)
    """A run whose lease expires in this attempt has failed."""

    run_queue_limit: int = Field(default=1000, ge=1)
    """How many runs of everybody may be queued; another one is refused (429)."""

    run_queue_limit_per_user: int = Field(default=20, ge=1)
    """How many unfinished runs a user may have; another one is refused (429)."""

    run_sweep_seconds: float = Field(default=5.0, gt=0)
    """How long the sweeper rests before it looks again for runs that no worker will end."""

    run_expiry_seconds: float = Field(default=3600.0, gt=0)
    """How long after its creation an unfinished run that no worker holds has failed."""

    max_body_bytes: int = Field(default=4 * 1024 * 1024, gt=0)
    """Longest request body; a longer one is answered 413."""

    search_candidates: int = Field(default=1000, ge=1, le=100_000)
    """How many of the newest messages that match (and as many titles) a search ranks; older ones are not found."""

    max_attachment_bytes: int = Field(default=20 * 1024 * 1024, gt=0)
    """Largest attachment; a larger one is answered 413."""

    blob_url: str = Field(default="file:.data/attachments", pattern=r"^(file:|s3://[^/])")
    """Where the bytes of attachments are: `file:///folder` (made if missing), or `s3://bucket/prefix`."""

    blob_s3_endpoint_url: HttpUrl | None = None
    """Address of an S3-compatible service; without it, Amazon's."""

    blob_s3_region: str | None = None
    blob_s3_access_key_id: str | None = None
    blob_s3_secret_access_key: SecretStr | None = None
    """Without keys, those of the machine's or the pod's role are asked for."""

    retention_days: int = Field(default=0, ge=0, le=36_500)
    """Conversations that have not changed for so many days are deleted; 0: none is."""

    idempotency_hours: float = Field(default=24.0, gt=0, le=8760)
    """How long the answer to a create is kept for a repetition under its `Idempotency-Key`."""

    retention_batch_size: int = Field(default=100, ge=1, le=10_000)
    """How many rows or blobs the sweeper deletes at a time."""

    retention_interval_seconds: float = Field(default=60.0, gt=0)
    """How long the sweeper rests when it has found nothing more to delete."""

    @property
    def run_limits(self) -> RunLimits:
        """How many runs there may be."""
        return RunLimits(queued=self.run_queue_limit, unfinished_per_user=self.run_queue_limit_per_user)

    @property
    def run_expiry(self) -> timedelta:
        """The longest wait for a worker as a duration."""
        return timedelta(seconds=self.run_expiry_seconds)

    @property
    def run_lease(self) -> timedelta:
        """The lease as a duration."""
        return timedelta(seconds=self.run_lease_seconds)
