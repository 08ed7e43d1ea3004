"""Settings of task-tools."""

import json
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from service_kit.database_settings import DatabaseSettings

ANY_HOST = "*"


class Settings(DatabaseSettings):
    """What task-tools reads from the environment."""

    tools_port: int = 8040

    max_body_bytes: int = Field(default=4 * 1024 * 1024, gt=0)
    """Longest request body; a longer one is answered 413."""

    tool_call_retention_seconds: float = Field(default=86_400.0, gt=0)
    """How long a call's result is kept for a repetition: longer than any run lasts (`RUN_EXPIRY_SECONDS`, 3600)."""

    tool_call_sweep_seconds: float = Field(default=600.0, gt=0)
    """How long the sweeper rests when it has found no more old calls."""

    mcp_allowed_hosts: Annotated[list[str], NoDecode] = Field(
        default_factory=lambda: ["127.0.0.1:*", "localhost:*", "[::1]:*", "task-tools:*"]
    )
    """`Host` headers that the MCP server answers to (`name:*` for every port, `*` for all), as JSON or with commas.

    The MCP specification asks for it against DNS rebinding. Here every call needs a signed token besides.
    """

    @field_validator("mcp_allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith('["'):
            return json.loads(value)
        return [host.strip() for host in value.split(",") if host.strip()]
