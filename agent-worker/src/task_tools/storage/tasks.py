"""A user's tasks in Postgres."""

from collections.abc import Mapping
from itertools import product
from typing import Any

from asyncpg import Record
from sqlalchemy import Boolean, ClauseElement, String, bindparam, case, delete, func, insert, select, update
from sqlmodel import col

from contracts.ids import new_id
from contracts.pages import Order
from contracts.tasks import Task, TaskStatus
from service_kit.database import Transaction
from service_kit.statements import Statement
from task_tools.domain import title_key_of
from task_tools.tables import TaskRow

_id = col(TaskRow.id)
_COLUMNS = (
    _id,
    col(TaskRow.title),
    col(TaskRow.description),
    col(TaskRow.completed),
    col(TaskRow.created_at),
    col(TaskRow.updated_at),
)
_OWNED = col(TaskRow.user_id) == bindparam("user_id")
_IS_OWN = (_OWNED, _id == bindparam("id"))
_ORDERS: tuple[Order, Order] = ("asc", "desc")

_INSERT = Statement(
    insert(TaskRow)
    .values({name: bindparam(name) for name in ("id", "user_id", "title", "title_key", "description", "completed")})
    .returning(*_COLUMNS)
)
_GET = Statement(select(*_COLUMNS).where(*_IS_OWN))
_TITLED = Statement(
    select(*_COLUMNS)
    .where(_OWNED, col(TaskRow.title_key) == bindparam("title_key"))
    .order_by(_id.desc())
    .limit(bindparam("rows"))
)
_UPDATE = Statement(
    update(TaskRow)
    .where(*_IS_OWN)
    .values(
        title=func.coalesce(bindparam("new_title", type_=String), col(TaskRow.title)),
        title_key=func.coalesce(bindparam("new_title_key", type_=String), col(TaskRow.title_key)),
        description=case(
            (bindparam("sets_description", type_=Boolean), bindparam("new_description", type_=String)),
            else_=col(TaskRow.description),
        ),
        completed=func.coalesce(bindparam("new_completed", type_=Boolean), col(TaskRow.completed)),
        updated_at=func.clock_timestamp(),
    )
    .returning(*_COLUMNS)
)
_DELETE = Statement(delete(TaskRow).where(*_IS_OWN).returning(*_COLUMNS))
_IS_FOREIGN = Statement(select(func.tasks.task_is_foreign(bindparam("id", type_=String))))


def _list(order: Order, *, by_status: bool, after: bool) -> ClauseElement:
    statement = select(*_COLUMNS).where(_OWNED)
    if by_status:
        statement = statement.where(col(TaskRow.completed) == bindparam("completed"))
    if after:
        statement = statement.where(_id < bindparam("after") if order == "desc" else _id > bindparam("after"))
    return statement.order_by(_id.desc() if order == "desc" else _id.asc()).limit(bindparam("rows"))


_PAGES = {
    (order, by_status, after): Statement(_list(order, by_status=by_status, after=after))
    for order, by_status, after in product(_ORDERS, (False, True), (False, True))
}


def _to_task(row: Record) -> Task:
    return Task.model_validate({**row, "status": "completed" if row["completed"] else "pending"})


class TaskStore:
    """The tasks of one user, within a transaction that acts as that user."""

    def __init__(self, transaction: Transaction, user_id: str) -> None:
        self._transaction = transaction
        self._user_id = user_id

    async def create(self, title: str, description: str | None) -> Task:
        """Store a new task."""
        values = {"title": title, "title_key": title_key_of(title), "description": description, "completed": False}
        rows = await self._transaction.rows(_INSERT, id=new_id("task"), user_id=self._user_id, **values)
        return _to_task(rows[0])

    async def get(self, task_id: str) -> Task | None:
        """Return a task of the user's."""
        return await self._one(_GET, id=task_id)

    async def titled(self, title: str, *, limit: int) -> list[Task]:
        """Return tasks of that title, case and blanks apart, the newest first."""
        rows = await self._transaction.rows(_TITLED, user_id=self._user_id, title_key=title_key_of(title), rows=limit)
        return [_to_task(row) for row in rows]

    async def list(self, status: TaskStatus | None, *, limit: int, order: Order, after: str | None) -> list[Task]:
        """Return tasks in the order they were made in (`asc`) or the other way round, behind the one named `after`."""
        statement = _PAGES[order, status is not None, after is not None]
        rows = await self._transaction.rows(
            statement, user_id=self._user_id, completed=status == "completed", after=after, rows=limit
        )
        return [_to_task(row) for row in rows]

    async def update(self, task_id: str, changes: Mapping[str, object]) -> Task | None:
        """Change columns of a task of the user's; returns it as it is now."""
        title = changes.get("title")
        return await self._one(
            _UPDATE,
            id=task_id,
            new_title=title,
            new_title_key=None if title is None else title_key_of(str(title)),
            sets_description="description" in changes,
            new_description=changes.get("description"),
            new_completed=changes.get("completed"),
        )

    async def delete(self, task_id: str) -> Task | None:
        """Delete a task of the user's; returns it as it was."""
        return await self._one(_DELETE, id=task_id)

    async def is_foreign(self, task_id: str) -> bool:
        """Tell whether the task exists and is somebody else's."""
        return bool(await self._transaction.value(_IS_FOREIGN, id=task_id))

    async def _one(self, statement: Statement, **values: Any) -> Task | None:
        row = await self._transaction.row(statement, user_id=self._user_id, **values)
        return None if row is None else _to_task(row)
