"""The agent that all runs of a process share."""

from typing import cast

from agents import RunContextWrapper
from agents.testing import ScriptedModel
from mcp.types import Tool

from agent_worker.agent import create_agent
from agent_worker.tools.pool import ToolPool


class OneTool:
    """A tool server with one tool."""

    async def tools(self) -> list[Tool]:
        return [Tool(name="add_task", input_schema={"type": "object", "properties": {}})]


async def test_tools_are_made_into_the_sdks_once() -> None:
    agent = create_agent(ScriptedModel([]), cast("ToolPool", OneTool()))
    first, second = [await agent.get_mcp_tools(RunContextWrapper(None)) for _ in range(2)]
    assert [tool.name for tool in first] == ["add_task"]
    assert first[0] is second[0]
    assert first is not second
