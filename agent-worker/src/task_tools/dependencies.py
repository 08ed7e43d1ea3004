"""What the REST routes are given."""

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import Depends, Request

from contracts.principal import TASKS, Principal
from service_kit.database import Database
from service_kit.principal import require_scope
from task_tools.services.task_list import TaskList
from task_tools.storage.tasks import TaskStore
from task_tools.tables import USER_ROLE

TaskOwner = Annotated[Principal, require_scope(TASKS)]


async def open_task_list(request: Request, owner: TaskOwner) -> AsyncGenerator[TaskList]:
    """Open the caller's tasks for one request, which is one transaction."""
    database: Database = request.app.state.database
    user_id = owner.user_id or ""
    async with database.transaction(USER_ROLE, user_id) as transaction:
        yield TaskList(TaskStore(transaction, user_id))


OwnTasks = Annotated[TaskList, Depends(open_task_list, scope="function")]
"""The caller's tasks. The transaction ends before the answer is sent: what a caller sees accepted is stored."""
