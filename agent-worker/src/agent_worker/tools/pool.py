"""A small pool of MCP connections. One connection carries one call at a time, and opening one costs 40 ms."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar, cast

import structlog
from agents.mcp import MCPServerStreamableHttp
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_REQUEST, CallToolResult, Tool

from contracts.conversations import JsonObject
from service_kit.principal import TokenExpiredError

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 2.0
CLOSE_SECONDS = 2.0


class ToolsUnreachableError(Exception):
    """The tool server did not answer, however often it was asked."""


class ToolCallRefusedError(Exception):
    """The tool server will not carry out the call for this caller, however often it is asked."""


class ToolPool:
    """Lends connections to the tool server at `url`, at most `size` at once, and closes broken ones.

    A call whose connection broke is repeated for `patience_seconds`: its idempotency key makes that safe.
    """

    def __init__(self, url: str, *, size: int, timeout_seconds: float, patience_seconds: float) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self._slots = asyncio.Semaphore(size)
        self._idle: list[MCPServerStreamableHttp] = []
        self._tools: list[Tool] | None = None

    async def tools(self) -> list[Tool]:
        """Return the server's tools, asked for once. Raises ToolsUnreachableError."""
        if self._tools is None:
            self._tools = await self._with_retries(lambda server: server.list_tools())
        return self._tools

    async def call(self, name: str, arguments: JsonObject, meta: Callable[[], JsonObject]) -> CallToolResult:
        """Call a tool. Its own errors come back as a result with `isError`.

        Raises ToolsUnreachableError and ToolCallRefusedError.

        `meta` is asked for each try: the last one may come when the token of the first has expired.
        """
        return await self._with_retries(lambda server: server.call_tool(name, arguments, meta()))

    async def close(self) -> None:
        """Close every idle connection."""
        while self._idle:
            await self._discard(self._idle.pop())

    async def _with_retries(self, operation: Callable[[MCPServerStreamableHttp], Awaitable[Answer]]) -> Answer:
        give_up = time.monotonic() + self._patience_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with self._connection() as server:
                    return await operation(server)
            except Exception as error:
                if isinstance(error, MCPError) and _is_refusal(error):
                    raise ToolCallRefusedError(error.message) from error
                log.warning("tool_connection_broke", error=type(error).__name__)
                if time.monotonic() + pause > give_up:
                    raise ToolsUnreachableError(self._url) from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[MCPServerStreamableHttp]:
        async with self._slots:
            server = self._idle.pop() if self._idle else await self._connect()
            try:
                yield server
            except BaseException:
                await self._discard(server)
                raise
            self._idle.append(server)

    async def _connect(self) -> MCPServerStreamableHttp:
        server = MCPServerStreamableHttp(
            params={"url": self._url, "timeout": self._timeout_seconds},
            name="tasks",
            client_session_timeout_seconds=self._timeout_seconds,
        )
        async with asyncio.timeout(self._timeout_seconds):
            await server.connect()
        return server

    async def _discard(self, server: MCPServerStreamableHttp) -> None:
        """Close a connection that may be broken: what goes wrong now no longer matters to anybody."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await server.cleanup()
        except Exception as error:
            log.info("tool_connection_close_failed", error=type(error).__name__)


def _is_refusal(error: MCPError) -> bool:
    """Tell whether it is the server's own word (a problem's code) about the caller. A fresh token mends an old one."""
    data = cast("JsonObject", error.data) if isinstance(error.data, dict) else {}
    code = data.get("code")
    return error.code == INVALID_REQUEST and code not in (None, TokenExpiredError.code)
