"""The MCP server and its tools. Their descriptions are written for the model that reads them."""

import json
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import BeforeValidator, Field

from contracts.pages import MAX_PAGE_LIMIT
from contracts.tasks import TASK_DESCRIPTION_MAX_LENGTH, TASK_TITLE_MAX_LENGTH, Task, TaskPatch, TaskStatus
from task_tools.errors import NothingToChangeError
from task_tools.services.task_list import TaskList
from task_tools.tools.calls import ToolCaller, ToolContext

INSTRUCTIONS = """The todo list of the user you talk with. All tools act on that user's own tasks and on no others.
A task is named by its id, or by its title if no other task has the same one."""


def _as_text(value: object) -> object:
    """Undo the SDK's reading of JSON in texts: a description that looks like JSON is still a description."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


TaskReference = Annotated[str, Field(description="The task's id, or its exact title (upper or lower case).")]
Title = Annotated[str, Field(description=f"What is to be done, at most {TASK_TITLE_MAX_LENGTH} characters.")]
OptionalTitle = Annotated[
    str | None, BeforeValidator(_as_text), Field(description="The new title. Leave it out to keep the old one.")
]
Description = Annotated[
    str | None,
    BeforeValidator(_as_text),
    Field(description=f"Details, if the user gave any; at most {TASK_DESCRIPTION_MAX_LENGTH} characters."),
]
OptionalDescription = Annotated[
    str | None,
    BeforeValidator(_as_text),
    Field(description="The new description; an empty text removes it. Leave it out to keep the old one."),
]
StatusFilter = Annotated[
    Literal["all", "pending", "completed"], Field(description="Which tasks: all of them, open ones, or done ones.")
]
Completed = Annotated[bool, Field(description="true marks the task as done, false opens it again.")]


def _answer(task: Task) -> dict[str, Any]:
    return {"task": task.model_dump(mode="json")}


class TaskServer(MCPServer[Any]):
    """Refuses a call without a good token before anything else is read of it, whichever tool it names.

    Nothing that it lists ever changes, so nobody can listen for changes: it would take no token, and have no end.
    """

    def __init__(self, caller: ToolCaller) -> None:
        super().__init__("threadkeep-tasks", instructions=INSTRUCTIONS, log_level="WARNING", subscriptions=False)
        self._caller = caller

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: ToolContext | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Check the token, then call the tool. Raises MCPError for a call that is refused."""
        if context is None:
            raise TypeError("a call comes with its context")
        self._caller.check(context)
        return await super().call_tool(name, arguments, context)


def create_mcp_server(caller: ToolCaller) -> MCPServer[Any]:
    """Make the server with its five tools."""
    server = TaskServer(caller)
    _install_add_task(server, caller)
    _install_list_tasks(server, caller)
    _install_update_task(server, caller)
    _install_complete_task(server, caller)
    _install_delete_task(server, caller)
    return server


def _install_add_task(server: MCPServer[Any], caller: ToolCaller) -> None:
    @server.tool(
        title="Add a task",
        description="Add one task to the user's todo list. Call it once for each task the user asks for.",
        annotations=ToolAnnotations(destructive_hint=False, open_world_hint=False),
    )
    async def add_task(  # pyright: ignore[reportUnusedFunction] - used by its decorator
        context: ToolContext, title: Title, description: Description = None
    ) -> CallToolResult:
        async def add(tasks: TaskList) -> dict[str, Any]:
            return _answer(await tasks.create(title, description))

        return await caller.act(context, "add_task", {"title": title, "description": description}, add)


def _install_list_tasks(server: MCPServer[Any], caller: ToolCaller) -> None:
    @server.tool(
        title="List tasks",
        description=(
            "List the user's tasks, the newest first, with their ids, titles and status. "
            f"At most {MAX_PAGE_LIMIT} are shown; has_more says that there are older ones."
        ),
        annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
    )
    async def list_tasks(  # pyright: ignore[reportUnusedFunction] - used by its decorator
        context: ToolContext, status: StatusFilter = "all"
    ) -> CallToolResult:
        async def find(tasks: TaskList) -> dict[str, Any]:
            wanted: TaskStatus | None = None if status == "all" else status
            page = await tasks.list(wanted, limit=MAX_PAGE_LIMIT)
            return {"tasks": [task.model_dump(mode="json") for task in page.data], "has_more": page.has_more}

        return await caller.read(context, find)


def _install_update_task(server: MCPServer[Any], caller: ToolCaller) -> None:
    @server.tool(
        title="Change a task",
        description="Change the title or the description of one of the user's tasks.",
        annotations=ToolAnnotations(destructive_hint=True, idempotent_hint=True, open_world_hint=False),
    )
    async def update_task(  # pyright: ignore[reportUnusedFunction] - used by its decorator
        context: ToolContext,
        task: TaskReference,
        title: OptionalTitle = None,
        description: OptionalDescription = None,
    ) -> CallToolResult:
        given = {"title": title, "description": description}
        changes = {name: value for name, value in given.items() if value is not None}

        async def update(tasks: TaskList) -> dict[str, Any]:
            found = await tasks.find(task)
            if not changes:
                raise NothingToChangeError()
            return _answer(await tasks.update(found.id, TaskPatch.model_construct(set(changes), **changes)))

        return await caller.act(context, "update_task", {"task": task, **given}, update)


def _install_complete_task(server: MCPServer[Any], caller: ToolCaller) -> None:
    @server.tool(
        title="Complete a task",
        description="Mark one of the user's tasks as done, or open it again.",
        annotations=ToolAnnotations(destructive_hint=False, idempotent_hint=True, open_world_hint=False),
    )
    async def complete_task(  # pyright: ignore[reportUnusedFunction] - used by its decorator
        context: ToolContext, task: TaskReference, completed: Completed = True
    ) -> CallToolResult:
        async def complete(tasks: TaskList) -> dict[str, Any]:
            found = await tasks.find(task)
            return _answer(await tasks.update(found.id, TaskPatch(completed=completed)))

        return await caller.act(context, "complete_task", {"task": task, "completed": completed}, complete)


def _install_delete_task(server: MCPServer[Any], caller: ToolCaller) -> None:
    @server.tool(
        title="Delete a task",
        description="Delete one of the user's tasks for good. The answer shows the task as it was.",
        annotations=ToolAnnotations(destructive_hint=True, open_world_hint=False),
    )
    async def delete_task(  # pyright: ignore[reportUnusedFunction] - used by its decorator
        context: ToolContext, task: TaskReference
    ) -> CallToolResult:
        async def delete(tasks: TaskList) -> dict[str, Any]:
            found = await tasks.find(task)
            return _answer(await tasks.delete(found.id))

        return await caller.act(context, "delete_task", {"task": task}, delete)
