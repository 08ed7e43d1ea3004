"""ChatKit's `Store` in a process's memory, as the SDK's starter applications have one."""

from collections.abc import Sequence
from typing import TypeVar

from chatkit.store import NotFoundError, Store
from chatkit.types import Attachment, Page, ThreadItem, ThreadMetadata

_Kept = TypeVar("_Kept", ThreadItem, ThreadMetadata)


class MemoryStore(Store[None]):
    """Keeps threads and their items as they are given; one user, no attachments."""

    def __init__(self) -> None:
        self._threads: dict[str, ThreadMetadata] = {}
        self._items: dict[str, dict[str, ThreadItem]] = {}

    async def load_thread(self, thread_id: str, context: None) -> ThreadMetadata:
        if thread_id not in self._threads:
            raise NotFoundError(thread_id)
        return self._threads[thread_id].model_copy()

    async def save_thread(self, thread: ThreadMetadata, context: None) -> None:
        self._threads[thread.id] = thread

    async def load_threads(self, limit: int, after: str | None, order: str, context: None) -> Page[ThreadMetadata]:
        return _page(list(self._threads.values()), limit, after, order)

    async def delete_thread(self, thread_id: str, context: None) -> None:
        self._threads.pop(thread_id, None)
        self._items.pop(thread_id, None)

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: None
    ) -> Page[ThreadItem]:
        return _page(list(self._items.get(thread_id, {}).values()), limit, after, order)

    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: None) -> None:
        await self.save_item(thread_id, item, context)

    async def save_item(self, thread_id: str, item: ThreadItem, context: None) -> None:
        self._items.setdefault(thread_id, {})[item.id] = item

    async def load_item(self, thread_id: str, item_id: str, context: None) -> ThreadItem:
        item = self._items.get(thread_id, {}).get(item_id)
        if item is None:
            raise NotFoundError(item_id)
        return item

    async def delete_thread_item(self, thread_id: str, item_id: str, context: None) -> None:
        self._items.get(thread_id, {}).pop(item_id, None)

    async def save_attachment(self, attachment: Attachment, context: None) -> None:
        raise NotImplementedError

    async def load_attachment(self, attachment_id: str, context: None) -> Attachment:
        raise NotImplementedError

    async def delete_attachment(self, attachment_id: str, context: None) -> None:
        raise NotImplementedError


def _page(kept: Sequence[_Kept], limit: int, after: str | None, order: str) -> Page[_Kept]:
    ordered = list(kept) if order == "asc" else list(reversed(kept))
    start = next((number for number, each in enumerate(ordered, 1) if each.id == after), 0)
    data = ordered[start : start + limit]
    more = len(ordered) > start + limit
    return Page(data=data, has_more=more, after=data[-1].id if more else None)
