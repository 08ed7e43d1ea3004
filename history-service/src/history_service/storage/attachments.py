"""Attachments of one user: what is known of them, and which blobs are to be removed."""

from collections.abc import Mapping
from datetime import timedelta
from itertools import product
from typing import Any, cast

from asyncpg import Record
from sqlalchemy import DateTime, Interval, Select, String, bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as insert_once

from contracts.attachments import Attachment
from contracts.pages import Order, Page
from history_service.attachment_content import AttachmentContent
from history_service.errors import (
    AttachmentConflictError,
    ContentConflictError,
    InvalidCursorError,
    UploadExpiredError,
)
from history_service.storage.roles import absent_attachment, absent_conversation
from history_service.tables import attachments, blob_deletions, conversations
from service_kit.database import Transaction
from service_kit.statements import Statement

COLUMNS = tuple(attachments.c[name] for name in Attachment.model_fields)
_IS_OWN = (attachments.c.id == bindparam("id"), attachments.c.user_id == bindparam("user_id"))
_IN_CONVERSATION = (
    attachments.c.user_id == bindparam("user_id"),
    attachments.c.conversation_id == bindparam("conversation_id"),
)
_GIVEN = {
    name: bindparam(name, type_=attachments.c[name].type)
    for name in ("conversation_id", "name", "mime_type", "payload")
}
_NOW = func.clock_timestamp()

_INSERT = Statement(
    insert_once(attachments)
    .values(_GIVEN | {name: bindparam(name) for name in ("id", "user_id", "size_bytes")})
    .on_conflict_do_nothing(index_elements=["id"])
    .returning(*COLUMNS)
)
_KEEP_CONVERSATION = Statement(
    select(conversations.c.id)
    .where(conversations.c.id == bindparam("conversation_id"), conversations.c.user_id == bindparam("user_id"))
    .with_for_update(read=True, key_share=True)
)
_GET = Statement(select(*COLUMNS).where(*_IS_OWN))
_GET_KEY = Statement(select(attachments.c.blob_key).where(*_IS_OWN))
_PUT = Statement(
    update(attachments)
    .where(
        *_IS_OWN, attachments.c.conversation_id.is_(None) | (attachments.c.conversation_id == _GIVEN["conversation_id"])
    )
    .values(_GIVEN)
    .returning(*COLUMNS)
)
_STORE = Statement(
    update(attachments)
    .where(*_IS_OWN, attachments.c.status == "pending", attachments.c.size_bytes == bindparam("received"))
    .values(status="stored", sha256=bindparam("digest"), blob_key=bindparam("key"))
    .returning(*COLUMNS)
)
_DELETE = Statement(delete(attachments).where(*_IS_OWN))
_PLACE = Statement(select(attachments.c.created_at).where(*_IN_CONVERSATION, attachments.c.id == bindparam("id")))
_RESERVE = Statement(
    insert(blob_deletions).values(
        key=bindparam("key"), user_id=bindparam("user_id"), due_at=_NOW + bindparam("span", type_=Interval)
    )
)
_IS_RESERVED = (blob_deletions.c.key == bindparam("key"), blob_deletions.c.user_id == bindparam("user_id"))
_TAKE_RESERVATION = Statement(delete(blob_deletions).where(*_IS_RESERVED, blob_deletions.c.due_at > _NOW))


def _list(order: Order, *, after: bool) -> Select[Any]:
    place = (attachments.c.created_at, attachments.c.id)
    statement = select(*COLUMNS).where(*_IN_CONVERSATION)
    if after:
        seen = tuple_(bindparam("seen_at", type_=DateTime(timezone=True)), bindparam("seen_id", type_=String))
        statement = statement.where(tuple_(*place) > seen if order == "asc" else tuple_(*place) < seen)
    by = [column.asc() if order == "asc" else column.desc() for column in place]
    return statement.order_by(*by).limit(bindparam("rows"))


_PAGES: Mapping[tuple[Order, bool], Statement] = {
    (order, after): Statement(_list(order, after=after))
    for order, after in product(cast(tuple[Order, Order], ("asc", "desc")), (False, True))
}


class AttachmentStore:
    """The user's attachments, within one transaction that acts as the user."""

    def __init__(self, transaction: Transaction, user_id: str) -> None:
        self._transaction = transaction
        self._user_id = user_id

    async def create(self, new: AttachmentContent, size_bytes: int) -> Attachment:
        """Insert an attachment; the very same one again changes nothing.

        Raises AttachmentConflictError, AttachmentForbiddenError if the id is somebody else's, and the conversation's
        absence.
        """
        await self._keep_conversation(new.conversation_id)
        created = await self._one(_INSERT, **vars(new), size_bytes=size_bytes)
        if created is not None:
            return created
        there = await self.get(new.id)
        if (there.payload, there.size_bytes) != (new.payload, size_bytes):
            raise AttachmentConflictError()
        return there

    async def get(self, attachment_id: str) -> Attachment:
        """Return an attachment. Raises its absence."""
        found = await self._one(_GET, id=attachment_id)
        if found is None:
            raise await absent_attachment(self._transaction, attachment_id)
        return found

    async def blob_key(self, attachment_id: str) -> str | None:
        """Return where the bytes are, if they are stored."""
        return await self._transaction.value(_GET_KEY, id=attachment_id, user_id=self._user_id)

    async def put(self, content: AttachmentContent) -> Attachment:
        """Replace what is known of an attachment, which may take it into a conversation but not out of one.

        Raises its absence, the conversation's, and AttachmentConflictError.
        """
        await self._keep_conversation(content.conversation_id)
        changed = await self._one(_PUT, **vars(content))
        if changed is None:
            await self.get(content.id)
            raise AttachmentConflictError()
        return changed

    async def reserve(self, key: str, span: timedelta) -> None:
        """Note a blob that is about to be written: if nothing more comes of it for `span`, it is removed."""
        await self._transaction.execute(_RESERVE, key=key, user_id=self._user_id, span=span)

    async def store(self, attachment_id: str, key: str, size_bytes: int, sha256: str) -> Attachment:
        """Give a pending attachment the blob that was reserved and written for it.

        If the same bytes are stored already, nothing changes and the blob stays noted for removal. Raises the
        attachment's absence, ContentConflictError, UploadExpiredError.
        """
        stored = await self._one(_STORE, id=attachment_id, key=key, received=size_bytes, digest=sha256)
        if stored is None:
            return self.check(await self.get(attachment_id), size_bytes, sha256)
        if not await self._transaction.execute(_TAKE_RESERVATION, key=key, user_id=self._user_id):
            raise UploadExpiredError()
        return stored

    @staticmethod
    def check(attachment: Attachment, size_bytes: int, sha256: str) -> Attachment:
        """Return the attachment if these bytes are the stored ones. Raises ContentConflictError."""
        if (attachment.size_bytes, attachment.sha256) != (size_bytes, sha256):
            raise ContentConflictError()
        return attachment

    async def delete(self, attachment_id: str) -> None:
        """Delete an attachment; its blob is noted for removal. Raises its absence."""
        if not await self._transaction.execute(_DELETE, id=attachment_id, user_id=self._user_id):
            raise await absent_attachment(self._transaction, attachment_id)

    async def list(self, conversation_id: str, limit: int, after: str | None, order: Order) -> Page[Attachment]:
        """Return a page by (created_at, id). Raises the conversation's absence, InvalidCursorError."""
        place = {"conversation_id": conversation_id, "user_id": self._user_id}
        seen = None if after is None else await self._transaction.value(_PLACE, **place, id=after)
        if after is not None and seen is None:
            await self._keep_conversation(conversation_id)
            raise InvalidCursorError()
        statement = _PAGES[order, after is not None]
        rows = await self._transaction.rows(statement, **place, rows=limit + 1, seen_at=seen, seen_id=after)
        if not rows:
            await self._keep_conversation(conversation_id)
        data = [attachment_of_row(row) for row in rows[:limit]]
        return Page(data=data, has_more=len(rows) > limit, after=data[-1].id if data else None)

    async def _keep_conversation(self, conversation_id: str | None) -> None:
        """Keep a conversation from being deleted until the transaction ends. Raises its absence."""
        if conversation_id is None:
            return
        values = {"conversation_id": conversation_id, "user_id": self._user_id}
        if await self._transaction.value(_KEEP_CONVERSATION, **values) is None:
            raise await absent_conversation(self._transaction, conversation_id)

    async def _one(self, statement: Statement, **values: Any) -> Attachment | None:
        row = await self._transaction.row(statement, user_id=self._user_id, **values)
        return None if row is None else attachment_of_row(row)


def attachment_of_row(row: Record) -> Attachment:
    """Return the attachment that a row of `COLUMNS` tells of."""
    return Attachment.model_validate(dict(row))
