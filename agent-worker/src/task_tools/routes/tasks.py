"""The todo list of the page."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from contracts.pages import DEFAULT_PAGE_LIMIT, MAX_PAGE_LIMIT, Order, Page
from contracts.tasks import Task, TaskCreate, TaskPatch, TaskStatus
from service_kit.principal import TokenFirstRoute
from task_tools.dependencies import OwnTasks

router = APIRouter(prefix="/tasks", tags=["tasks"], route_class=TokenFirstRoute)

ID_PATTERN = "^[A-Za-z0-9_-]{1,128}$"

TaskId = Annotated[str, Path(pattern=ID_PATTERN)]


@router.get("", summary="List tasks, the newest first")
async def list_tasks(
    tasks: OwnTasks,
    status: TaskStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_LIMIT)] = DEFAULT_PAGE_LIMIT,
    after: Annotated[str | None, Query(pattern=ID_PATTERN, description="The `after` of the page before.")] = None,
    order: Order = "desc",
) -> Page[Task]:
    """Return a page of the caller's tasks."""
    return await tasks.list(status, limit=limit, order=order, after=after)


@router.post("", status_code=201, summary="Create a task")
async def create_task(tasks: OwnTasks, body: TaskCreate) -> Task:
    """Add a task to the caller's list."""
    return await tasks.create(body.title, body.description)


@router.get("/{task_id}", summary="Get a task")
async def get_task(tasks: OwnTasks, task_id: TaskId) -> Task:
    """Return one of the caller's tasks."""
    return await tasks.get(task_id)


@router.patch("/{task_id}", summary="Change a task")
async def update_task(tasks: OwnTasks, task_id: TaskId, body: TaskPatch) -> Task:
    """Change what the body names."""
    return await tasks.update(task_id, body)


@router.delete("/{task_id}", status_code=204, summary="Delete a task")
async def delete_task(tasks: OwnTasks, task_id: TaskId) -> None:
    """Delete one of the caller's tasks."""
    await tasks.delete(task_id)
