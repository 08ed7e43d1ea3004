"""A user's tasks in Postgres."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Row, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from contracts.ids import new_id
from contracts.pages import Order
from contracts.tasks import Task, TaskStatus
from task_tools.domain import title_key_of
from task_tools.tables import TaskRow

_owner = col(TaskRow.user_id)
_id = col(TaskRow.id)
_COLUMNS = (
    _id,
    col(TaskRow.title),
    col(TaskRow.description),
    col(TaskRow.completed),
    col(TaskRow.created_at),
    col(TaskRow.updated_at),
)
_TaskColumns = Row[str, str, str | None, bool, datetime, datetime]

_IS_FOREIGN = text("SELECT tasks.task_is_foreign(:task_id)")


def _to_task(row: _TaskColumns) -> Task:
    return Task(
        id=row.id,
        title=row.title,
        description=row.description,
        completed=row.completed,
        status="completed" if row.completed else "pending",
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


class TaskStore:
    """The tasks of one user, within a transaction that acts as that user."""

    def __init__(self, connection: AsyncConnection, user_id: str) -> None:
        self._connection = connection
        self._user_id = user_id

    async def create(self, title: str, description: str | None) -> Task:
        """Store a new task."""
        values = {
            "id": new_id("task"),
            "user_id": self._user_id,
            "title": title,
            "title_key": title_key_of(title),
            "description": description,
            "completed": False,
        }
        result = await self._connection.execute(insert(TaskRow).values(values).returning(*_COLUMNS))
        return _to_task(result.one())

    async def get(self, task_id: str) -> Task | None:
        """Return a task of the user's."""
        result = await self._connection.execute(select(*_COLUMNS).where(_owner == self._user_id, _id == task_id))
        row = result.one_or_none()
        return _to_task(row) if row else None

    async def titled(self, title: str, *, limit: int) -> list[Task]:
        """Return tasks of that title, case and blanks apart, the newest first."""
        result = await self._connection.execute(
            select(*_COLUMNS)
            .where(_owner == self._user_id, col(TaskRow.title_key) == title_key_of(title))
            .order_by(_id.desc())
            .limit(limit)
        )
        return [_to_task(row) for row in result]

    async def list(self, status: TaskStatus | None, *, limit: int, order: Order, after: str | None) -> list[Task]:
        """Return tasks in the order they were made in (`asc`) or the other way round, behind the one named `after`."""
        statement = select(*_COLUMNS).where(_owner == self._user_id)
        if status is not None:
            statement = statement.where(col(TaskRow.completed).is_(status == "completed"))
        if after is not None:
            statement = statement.where(_id < after if order == "desc" else _id > after)
        statement = statement.order_by(_id.desc() if order == "desc" else _id.asc()).limit(limit)
        return [_to_task(row) for row in await self._connection.execute(statement)]

    async def update(self, task_id: str, changes: Mapping[str, object]) -> Task | None:
        """Change columns of a task of the user's; returns it as it is now."""
        values = dict(changes)
        if "title" in values:
            values["title_key"] = title_key_of(str(values["title"]))
        result = await self._connection.execute(
            update(TaskRow)
            .where(_owner == self._user_id, _id == task_id)
            .values(**values, updated_at=func.clock_timestamp())
            .returning(*_COLUMNS)
        )
        row = result.one_or_none()
        return _to_task(row) if row else None

    async def delete(self, task_id: str) -> Task | None:
        """Delete a task of the user's; returns it as it was."""
        result = await self._connection.execute(
            delete(TaskRow).where(_owner == self._user_id, _id == task_id).returning(*_COLUMNS)
        )
        row = result.one_or_none()
        return _to_task(row) if row else None

    async def is_foreign(self, task_id: str) -> bool:
        """Tell whether the task exists and is somebody else's."""
        return bool(await self._connection.scalar(_IS_FOREIGN, {"task_id": task_id}))
