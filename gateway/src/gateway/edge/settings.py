"""Settings of the edge. What is reached when, and what comes then: docs/limits.md."""

from pydantic import Field

from service_kit.settings import ServiceSettings


class EdgeSettings(ServiceSettings):
    """What the edge reads from the environment."""

    edge_head_seconds: float = Field(default=15.0, gt=0)
    """How long a request's line and headers may take; a new connection that sends nothing is closed then as well."""

    edge_body_idle_seconds: float = Field(default=30.0, gt=0)
    """How long a request's body may go without 1 KiB of progress."""

    edge_write_idle_seconds: float = Field(default=60.0, gt=0)
    """How long a caller may take nothing of what was sent to it."""

    edge_max_head_bytes: int = Field(default=32_768, ge=1024)
    """Largest request line and headers together."""

    edge_connections: int = Field(default=10_000, ge=1)
    """Most connections of all callers together."""

    edge_connections_per_address: int = Field(default=1000, ge=1)
    """Most connections of one address (of IPv6, of one /64); trusted proxies may have any number."""
