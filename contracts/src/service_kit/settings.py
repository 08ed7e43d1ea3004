"""Settings that all services share. Read once from the environment, frozen, passed in."""

from typing import Annotated, Literal

from pydantic import AnyHttpUrl, Field, SecretStr, UrlConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.principal import TrustedIssuer

HttpUrl = Annotated[AnyHttpUrl, UrlConstraints(host_required=True)]


class ServiceSettings(BaseSettings):
    """What every service reads. Each service adds its own in its `settings.py`.

    Environment names are the field names in capitals. Durations carry their unit in the name.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    bind_host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 in a container."""

    log_format: Literal["auto", "console", "json"] = "auto"
    """`auto`: readable on a terminal, JSON elsewhere."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    shutdown_grace_seconds: float = Field(default=10.0, gt=0)
    """How long open requests may take to end after SIGTERM."""

    internal_signing_key: SecretStr | None = None
    """This service's Ed25519 private key, base64url of the raw 32 bytes. Needed by services that call others."""

    internal_trust: dict[str, TrustedIssuer] = Field(default_factory=dict[str, TrustedIssuer])
    """Who may call this service, with which scopes: JSON object of issuer to `TrustedIssuer`."""
