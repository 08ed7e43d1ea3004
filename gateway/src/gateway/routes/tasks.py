"""The todo list."""

from typing import Annotated

from fastapi import Depends, Query
from starlette.responses import Response

from contracts.pages import Page
from contracts.tasks import Task, TaskCreate, TaskPatch, TaskStatus
from gateway.dependencies import CurrentCaller
from gateway.forwarding.targets import TASK_LIST
from gateway.routes.documentation import ObjectId, create_router, json_body, page_query, problems

router = create_router("tasks")


def task_filter(status: Annotated[TaskStatus | None, Query(description="Only tasks of this status.")] = None) -> None:
    """Document the filter of the list."""


@router.get(
    "/tasks",
    summary="List tasks",
    description="The newest comes first.",
    response_model=Page[Task],
    responses=problems(422),
    dependencies=[Depends(page_query), Depends(task_filter)],
)
def list_tasks(caller: CurrentCaller) -> Response:
    """Forward to task-tools."""
    return caller.forward(TASK_LIST, "/tasks")


@router.post(
    "/tasks",
    status_code=201,
    summary="Create a task",
    response_model=Task,
    responses=problems(413, 422),
    openapi_extra=json_body(TaskCreate),
)
def create_task(caller: CurrentCaller) -> Response:
    """Forward to task-tools."""
    return caller.forward(TASK_LIST, "/tasks")


@router.get("/tasks/{task_id:id}", summary="Get a task", response_model=Task, responses=problems(403, 404))
def get_task(caller: CurrentCaller, task_id: ObjectId) -> Response:
    """Forward to task-tools."""
    return caller.forward(TASK_LIST, f"/tasks/{task_id}")


@router.patch(
    "/tasks/{task_id:id}",
    summary="Change a task",
    response_model=Task,
    responses=problems(403, 404, 413, 422),
    openapi_extra=json_body(TaskPatch),
)
def update_task(caller: CurrentCaller, task_id: ObjectId) -> Response:
    """Forward to task-tools."""
    return caller.forward(TASK_LIST, f"/tasks/{task_id}")


@router.delete(
    "/tasks/{task_id:id}",
    status_code=204,
    summary="Delete a task",
    response_model=None,
    responses=problems(403, 404),
)
def delete_task(caller: CurrentCaller, task_id: ObjectId) -> Response:
    """Forward to task-tools."""
    return caller.forward(TASK_LIST, f"/tasks/{task_id}")
