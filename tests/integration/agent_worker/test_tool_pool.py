"""The pool's patience with a tool server that is away for a while."""

import asyncio
from typing import Any

import pytest
from mcp.server import MCPServer
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_REQUEST

from agent_worker.tools.pool import ToolCallRefusedError, ToolPool, ToolsUnreachableError
from tests.support.ports import free_port
from tests.support.servers import eventually, serve


def clock_server() -> MCPServer:
    server = MCPServer("clock")

    @server.tool()
    def now() -> str:  # pyright: ignore[reportUnusedFunction] - used by its decorator
        return "noon"

    return server


async def test_an_outage_that_ends_is_waited_for() -> None:
    port = free_port()
    pool = ToolPool(f"http://127.0.0.1:{port}/mcp", size=1, timeout_seconds=5, patience_seconds=30)
    asking = asyncio.create_task(pool.tools())
    try:
        await asyncio.sleep(0)
        async with serve(clock_server().streamable_http_app(), port=port):
            await eventually(asking.done, seconds=30, what="the tools are listed")
            assert [tool.name for tool in asking.result()] == ["now"]
            await pool.close()
    finally:
        asking.cancel()


async def test_a_refusal_is_taken_for_an_answer_and_an_expired_token_is_not() -> None:
    server, codes = MCPServer("strict"), iter(["token_expired", "token_invalid", "asked again"])

    @server.tool()
    def act() -> str:  # pyright: ignore[reportUnusedFunction] - used by its decorator
        raise MCPError(INVALID_REQUEST, "No.", {"code": next(codes), "status": 401})

    async with serve(server.streamable_http_app()) as url:
        pool = ToolPool(f"{url}/mcp", size=1, timeout_seconds=5, patience_seconds=30)
        with pytest.raises(ToolCallRefusedError):
            await pool.call("act", {}, dict[str, Any])
        await pool.close()
    assert list(codes) == ["asked again"]


async def test_patience_has_an_end() -> None:
    pool = ToolPool(f"http://127.0.0.1:{free_port()}/mcp", size=1, timeout_seconds=5, patience_seconds=0)
    with pytest.raises(ToolsUnreachableError):
        await pool.tools()
