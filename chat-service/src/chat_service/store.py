"""ChatKit's `Store` over the history-service. Nothing is kept here; ownership is checked there.

The SDK calls these methods by keyword: parameter names are part of the interface.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Literal

import structlog
from chatkit.store import Store, StoreItemType
from chatkit.types import Attachment, HiddenContextItem, Page, ThreadItem, ThreadMetadata, UserMessageItem
from pydantic import TypeAdapter, ValidationError

from chat_service.context import ChatContext
from chat_service.errors import ItemConflictError, NotSupportedError
from chat_service.services.runs import RunNotices
from contracts.conversations import TITLE_MAX_LENGTH, Conversation, ConversationPatch, ConversationPut, JsonObject
from contracts.ids import IdPrefix, new_id
from contracts.pages import MAX_PAGE_LIMIT, Order
from history_client import HistoryNotFoundError
from service_kit.problems import InvalidRequestError

log = structlog.get_logger(__name__)

_ITEM: TypeAdapter[ThreadItem] = TypeAdapter(ThreadItem)

_PREFIXES: dict[StoreItemType, IdPrefix] = {
    "thread": "thr",
    "message": "msg",
    "tool_call": "tc",
    "task": "tsk",
    "workflow": "wf",
    "attachment": "atc",
    "sdk_hidden_context": "shcx",
}


def in_utc(moment: datetime) -> datetime:
    """Return the moment in UTC; the SDK's own times are naive local ones."""
    return moment.astimezone(UTC)


def _to_payload(item: ThreadItem) -> JsonObject:
    payload = item.model_dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(item, HiddenContextItem):
        payload.setdefault("content", None)  # required, and null is a content
    return payload


def _to_thread(conversation: Conversation) -> ThreadMetadata:
    return ThreadMetadata.model_validate(conversation.model_dump(exclude={"user_id", "updated_at"}))


def _to_item(payload: JsonObject) -> ThreadItem:
    """Return the item. Raises ItemConflictError if ChatKit cannot read it, as another service may have stored it."""
    try:
        return _ITEM.validate_python(payload)
    except ValidationError as error:
        log.warning("item_unreadable", item_id=payload.get("id"), kind=payload.get("type"))
        raise ItemConflictError() from error


def _to_items(payloads: Iterable[JsonObject]) -> Iterator[ThreadItem]:
    """Yield the items; one that cannot be read hides no other."""
    for payload in payloads:
        try:
            item = _to_item(payload)
        except ItemConflictError:
            continue
        yield item


def _to_conversation(thread: ThreadMetadata) -> ConversationPut:
    return ConversationPut.model_validate({**thread.model_dump(), "created_at": in_utc(thread.created_at)})


def _to_patch(thread: ThreadMetadata) -> ConversationPatch:
    try:
        return ConversationPatch(title=thread.title)
    except ValidationError as error:
        raise InvalidRequestError(f"A title has at most {TITLE_MAX_LENGTH} characters.") from error


def _to_limit(limit: int) -> int:
    return max(1, min(limit, MAX_PAGE_LIMIT))


def _to_order(order: str) -> Order:
    direction: Literal["asc", "desc"] = "asc" if order == "asc" else "desc"
    return direction


async def _only_thread(context: ChatContext, thread_id: str, *, is_first_page: bool) -> Page[ThreadMetadata]:
    if not is_first_page:
        return Page(data=[])
    try:
        return Page(data=[_to_thread(await context.history.get_conversation(thread_id))])
    except HistoryNotFoundError:
        return Page(data=[])


class HistoryStore(Store[ChatContext]):
    """Threads are conversations; a user message is stored together with the run that answers it."""

    def __init__(self, runs: RunNotices) -> None:
        self._runs = runs

    def generate_thread_id(self, context: ChatContext) -> str:
        """Return a time-ordered id."""
        context.new_thread_id = new_id("thr")
        return context.new_thread_id

    def generate_item_id(self, item_type: StoreItemType, thread: ThreadMetadata, context: ChatContext) -> str:
        """Return a time-ordered id with ChatKit's prefix."""
        return new_id(_PREFIXES[item_type])

    async def load_thread(self, thread_id: str, context: ChatContext) -> ThreadMetadata:
        """Return the thread without items."""
        return _to_thread(await context.history.get_conversation(thread_id))

    async def save_thread(self, thread: ThreadMetadata, context: ChatContext) -> None:
        """Store what a request can change of a thread, its title; a new one is held back until its first message comes.

        The rest may have changed since the thread was loaded, or the thread may be gone.
        """
        if thread.id == context.new_thread_id and context.run is None:
            context.new_conversation = _to_conversation(thread)
        else:
            await context.history.patch_conversation(thread.id, _to_patch(thread))

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: ChatContext
    ) -> Page[ThreadItem]:
        """Return a page of items by position; for a retry the message that it is about, for which the SDK would search.

        What follows that message is deleted with the creation of the run, not by the SDK.
        """
        if context.retry_after is not None:
            return Page(data=[await self.load_item(thread_id, context.retry_after, context)])
        page = await context.history.list_items(
            thread_id,
            limit=_to_limit(limit),
            after=after,
            order=_to_order(order),
        )
        return Page(data=list(_to_items(page.data)), has_more=page.has_more, after=page.after)

    async def load_threads(
        self, limit: int, after: str | None, order: str, context: ChatContext
    ) -> Page[ThreadMetadata]:
        """Return a page of threads by time of the last change; the one thread that the caller is kept to, if any."""
        if context.thread_id is not None:
            return await _only_thread(context, context.thread_id, is_first_page=after is None)
        page = await context.history.list_conversations(limit=_to_limit(limit), after=after, order=_to_order(order))
        threads = [_to_thread(conversation) for conversation in page.data]
        return Page(data=threads, has_more=page.has_more, after=page.after)

    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: ChatContext) -> None:
        """Store a new item; a user message in one transaction with its run, and with its thread if that is new."""
        item.created_at = in_utc(item.created_at)
        if not isinstance(item, UserMessageItem):
            await self.save_item(thread_id, item, context)
            return
        created = await self._runs.start(
            context.history, thread_id, item=_to_payload(item), conversation=context.new_conversation
        )
        context.run = created.run

    async def save_item(self, thread_id: str, item: ThreadItem, context: ChatContext) -> None:
        """Create or replace an item under its id."""
        await context.history.put_item(thread_id, item.id, _to_payload(item))

    async def load_item(self, thread_id: str, item_id: str, context: ChatContext) -> ThreadItem:
        """Return an item."""
        return _to_item(await context.history.get_item(thread_id, item_id))

    async def delete_thread(self, thread_id: str, context: ChatContext) -> None:
        """Delete the thread with all that belongs to it."""
        await context.history.delete_conversation(thread_id)

    async def delete_thread_item(self, thread_id: str, item_id: str, context: ChatContext) -> None:
        """Delete an item."""
        await context.history.delete_item(thread_id, item_id)

    async def save_attachment(self, attachment: Attachment, context: ChatContext) -> None:
        """Refuse: see `NotSupportedError`."""
        raise NotSupportedError("Attachments are not supported here.")

    async def load_attachment(self, attachment_id: str, context: ChatContext) -> Attachment:
        """Refuse: see `NotSupportedError`."""
        raise NotSupportedError("Attachments are not supported here.")

    async def delete_attachment(self, attachment_id: str, context: ChatContext) -> None:
        """Refuse: see `NotSupportedError`."""
        raise NotSupportedError("Attachments are not supported here.")
