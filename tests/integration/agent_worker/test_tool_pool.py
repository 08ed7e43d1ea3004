"""The pool's patience with a tool server that is away for a while."""

import asyncio

import pytest
from mcp.server import MCPServer

from agent_worker.tools.pool import ToolPool, ToolsUnreachableError
from launcher.ports import free_port
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


async def test_patience_has_an_end() -> None:
    pool = ToolPool(f"http://127.0.0.1:{free_port()}/mcp", size=1, timeout_seconds=5, patience_seconds=0)
    with pytest.raises(ToolsUnreachableError):
        await pool.tools()
