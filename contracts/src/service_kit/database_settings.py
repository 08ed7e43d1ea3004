"""Where the database is, and how it is reached: `DATABASE_URL` in its several forms, limits and timeouts."""

from typing import Literal

from pydantic import Field, SecretStr, field_validator
from sqlalchemy import URL, make_url

from service_kit.settings import ServiceSettings

ACCEPTED_SCHEMES = ("postgres", "postgresql", "postgresql+asyncpg")
CLIENT_PARAMETERS = frozenset(
    {
        *("channel_binding", "require_auth", "gssencmode", "sslcompression", "sslsni"),
        *("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
        *("tcp_user_timeout", "pgbouncer"),
    }
)
"""What libpq, or another client's library, reads from a URL and asyncpg has no use for."""

POOLED_HOST_MARK = "-pooler"
"""What Neon puts into the name of a host that is a transaction pooler."""


class DatabaseSettings(ServiceSettings):
    """What a service with a database reads besides the common settings."""

    database_url: SecretStr
    """`postgresql://…` as Neon and libpq write it, `sslmode` and `channel_binding` included."""

    database_pooler: Literal["auto", "on", "off"] = "auto"
    """Whether a transaction pooler is in between; `auto` looks for `-pooler` in the host's name."""

    database_pool_size: int = Field(default=20, ge=1)
    """Connections that a process opens at most."""

    database_pool_timeout_seconds: float = Field(default=5.0, gt=0)
    """How long a request waits for a connection of the pool before it is answered 503."""

    database_connect_timeout_seconds: float = Field(default=5.0, gt=0)
    database_command_timeout_seconds: float = Field(default=15.0, gt=0)

    database_wake_seconds: float = Field(default=8.0, ge=0)
    """How long a request goes on trying to connect to a database that is asleep or restarting; 0: it tries once."""

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, url: SecretStr) -> SecretStr:
        asyncpg_url(url.get_secret_value())
        return url


def asyncpg_url(database_url: str) -> str:
    """Translate a libpq URL for asyncpg. Raises ValueError for what is not Postgres.

    asyncpg knows the TLS parameters of libpq by their names, and sends the server what it does not know as a setting,
    which the server refuses; so what concerns the client alone is left out.
    """
    return _rendered(_parsed(database_url))


def direct_url(database_url: str) -> str:
    """Return the same database without Neon's pooler in between, as migrations want it; translated for asyncpg."""
    url = _parsed(database_url)
    return _rendered(url.set(host=url.host.replace(POOLED_HOST_MARK, "", 1)) if url.host else url)


def is_pooled(settings: DatabaseSettings) -> bool:
    """Tell whether statements may meet another server connection in each transaction."""
    host = _parsed(settings.database_url.get_secret_value()).host or ""
    return settings.database_pooler == "on" or (settings.database_pooler == "auto" and POOLED_HOST_MARK in host)


def _parsed(database_url: str) -> URL:
    if database_url.partition("://")[0] not in ACCEPTED_SCHEMES:
        raise ValueError("DATABASE_URL must begin with postgresql://")
    url = make_url(database_url)
    return url.set(query={name: value for name, value in url.query.items() if name not in CLIENT_PARAMETERS})


def _rendered(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
