"""One run's view of the tool server: every call goes through the run's ledger."""

from collections.abc import Awaitable, Callable
from typing import Any

from agents import AgentBase, RunContextWrapper
from agents.mcp import MCPServer, MCPToolMetaContext
from agents.tool_context import ToolContext
from mcp.types import CallToolResult, GetPromptResult, ListPromptsResult, Tool

from agent_worker.tools.pool import ToolPool

CALL_ID = "call_id"
"""Key under which the model's call id travels from the resolver to `call_tool`; it never leaves the process."""

CallTool = Callable[[str], Awaitable[CallToolResult]]


class LedgeredTools(MCPServer):
    """The pool's tools, executed by the run's recorder.

    The SDK gives the model's call id only to `tool_meta_resolver`, which is why it takes that way.
    """

    def __init__(self, pool: ToolPool, call: CallTool) -> None:
        super().__init__(tool_meta_resolver=_call_id_of)
        self._pool = pool
        self._call = call

    @property
    def name(self) -> str:
        """The server's name."""
        return "tasks"

    async def connect(self) -> None:
        """Do nothing: the pool connects."""

    async def cleanup(self) -> None:
        """Do nothing: the pool closes."""

    async def list_tools(
        self, run_context: RunContextWrapper[Any] | None = None, agent: AgentBase | None = None
    ) -> list[Tool]:
        """Return the pool's tools."""
        return await self._pool.tools()

    async def call_tool(
        self, tool_name: str, arguments: dict[str, Any] | None, meta: dict[str, Any] | None = None
    ) -> CallToolResult:
        """Execute the call that the ledger knows under its id; name and arguments are those recorded."""
        return await self._call((meta or {})[CALL_ID])

    async def list_prompts(self) -> ListPromptsResult:
        """Return none: the agent uses tools only."""
        return ListPromptsResult(prompts=[])

    async def get_prompt(self, name: str, arguments: dict[str, Any] | None = None) -> GetPromptResult:
        """Return an empty prompt: the agent uses tools only."""
        return GetPromptResult(messages=[])


def _call_id_of(context: MCPToolMetaContext) -> dict[str, Any]:
    if not isinstance(context.run_context, ToolContext):
        raise TypeError("a tool call has a tool context")
    return {CALL_ID: context.run_context.tool_call_id}
