"""What can be done with a user's tasks, for the page and for the model alike."""

from contracts.pages import Order, Page
from contracts.tasks import Task, TaskPatch, TaskStatus
from task_tools.domain import clean_description, clean_title, is_storable
from task_tools.errors import (
    NoSuchTaskError,
    NothingToChangeError,
    TaskAmbiguousError,
    TaskForbiddenError,
    TaskNotFoundError,
    TitleMissingError,
)
from task_tools.storage.tasks import TaskStore

MAX_CANDIDATES = 10
"""How many tasks of one title are named when a title is ambiguous."""


class TaskList:
    """The tasks of one user."""

    def __init__(self, store: TaskStore) -> None:
        self._store = store

    async def create(self, title: str, description: str | None) -> Task:
        """Add a task."""
        return await self._store.create(clean_title(title), clean_description(description))

    async def list(
        self, status: TaskStatus | None, *, limit: int, order: Order = "desc", after: str | None = None
    ) -> Page[Task]:
        """Return a page of tasks, the newest first unless `order` says otherwise."""
        tasks = await self._store.list(status, limit=limit + 1, order=order, after=after)
        page = tasks[:limit]
        return Page(data=page, has_more=len(tasks) > limit, after=page[-1].id if page else None)

    async def get(self, task_id: str) -> Task:
        """Return a task by its id. Raises TaskNotFoundError and TaskForbiddenError."""
        return await self._owned(task_id, await self._store.get(task_id))

    async def update(self, task_id: str, patch: TaskPatch) -> Task:
        """Change what the patch names. Raises TaskNotFoundError and TaskForbiddenError."""
        changes = _changes_of(patch)
        return (
            await self._owned(task_id, await self._store.update(task_id, changes))
            if changes
            else await self.get(task_id)
        )

    async def delete(self, task_id: str) -> Task:
        """Delete a task. Raises TaskNotFoundError and TaskForbiddenError."""
        return await self._owned(task_id, await self._store.delete(task_id))

    async def find(self, reference: str) -> Task:
        """Return the one task that a person means by an id or a title.

        Raises NoSuchTaskError, also for the id of somebody else's task, and TaskAmbiguousError.
        """
        wanted = reference.strip()
        if not wanted or not is_storable(wanted):
            raise NoSuchTaskError(wanted)
        task = await self._store.get(wanted)
        if task is not None:
            return task
        candidates = await self._store.titled(wanted, limit=MAX_CANDIDATES)
        if len(candidates) > 1:
            raise TaskAmbiguousError(wanted, candidates)
        if not candidates:
            raise NoSuchTaskError(wanted)
        return candidates[0]

    async def _owned(self, task_id: str, task: Task | None) -> Task:
        if task is not None:
            return task
        raise TaskForbiddenError() if await self._store.is_foreign(task_id) else TaskNotFoundError()


def _changes_of(patch: TaskPatch) -> dict[str, object]:
    """Return the columns that a patch changes. A task cannot lose its title; an empty description removes it."""
    given = patch.model_fields_set
    changes: dict[str, object] = {}
    if "title" in given:
        if patch.title is None:
            raise TitleMissingError()
        changes["title"] = clean_title(patch.title)
    if "description" in given:
        changes["description"] = clean_description(patch.description)
    if patch.completed is not None:
        changes["completed"] = patch.completed
    if given and not changes:
        raise NothingToChangeError()
    return changes
