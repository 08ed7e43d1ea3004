"""The tool server as runs see it: every call goes through the ledger of its run."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from agents import AgentBase, RunContextWrapper
from agents.mcp import MCPServer, MCPToolMetaContext
from agents.tool_context import ToolContext
from mcp.types import CallToolResult, GetPromptResult, ListPromptsResult, Tool

from agent_worker.tools.pool import ToolPool

CALL_ID = "call_id"
"""Key under which the model's call id travels from the resolver to `call_tool`; it never leaves the process."""

CallTool = Callable[[str], Awaitable[CallToolResult]]
"""Executes the call that a run's ledger knows under this id."""

_call: ContextVar[CallTool] = ContextVar("call_tool")


@contextmanager
def calls_executed_by(call: CallTool) -> Generator[None]:
    """Let this run's recorder execute what is called inside the block, and in tasks that are started there."""
    token = _call.set(call)
    try:
        yield
    finally:
        _call.reset(token)


class LedgeredTools(MCPServer):
    """The pool's tools, for all runs of a process; a call is executed by the recorder of the run that makes it.

    The SDK gives the model's call id only to `tool_meta_resolver`, which is why it takes that way. It copies whatever
    a resolver returns, which is why the run's recorder does not.
    """

    def __init__(self, pool: ToolPool) -> None:
        super().__init__(tool_meta_resolver=_call_id_of)
        self._pool = pool

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
        """Execute the call that the ledger knows under its id; name and arguments are those recorded.

        Raises LookupError outside of `calls_executed_by`.
        """
        return await _call.get()((meta or {})[CALL_ID])

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
