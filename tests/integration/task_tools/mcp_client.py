"""The Agents SDK's own MCP client, as the agent-worker uses it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from agents.mcp import MCPServerStreamableHttp

from contracts.tasks import IDEMPOTENCY_META_KEY, TOKEN_META_KEY


@dataclass(frozen=True)
class Answer:
    """What a call gave the model."""

    text: str
    data: dict[str, Any]
    is_error: bool

    @property
    def task(self) -> dict[str, Any]:
        assert not self.is_error, self.text
        return self.data["task"]


@dataclass(frozen=True)
class ToolUser:
    """Calls tools over one connection, with the token and the key that are given for each call."""

    connection: MCPServerStreamableHttp

    async def call(self, token: str | None, tool: str, key: str | None = None, **arguments: object) -> Answer:
        meta = {TOKEN_META_KEY: token, IDEMPOTENCY_META_KEY: key}
        sent = {name: value for name, value in meta.items() if value is not None}
        result = await self.connection.call_tool(tool, arguments, meta=sent or None)
        content = result.content[0]
        assert content.type == "text"
        return Answer(content.text, dict(result.structured_content or {}), bool(result.is_error))


@asynccontextmanager
async def connect(base_url: str) -> AsyncGenerator[ToolUser]:
    async with MCPServerStreamableHttp({"url": f"{base_url}/mcp"}, client_session_timeout_seconds=20) as connection:
        yield ToolUser(connection)
