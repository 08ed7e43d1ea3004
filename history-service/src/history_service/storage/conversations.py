"""Conversations of one user."""

from collections.abc import Mapping
from typing import Any

from asyncpg import Record
from sqlalchemy import (
    Boolean,
    ClauseElement,
    ColumnElement,
    DateTime,
    String,
    bindparam,
    case,
    delete,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from contracts.conversations import Conversation, ConversationCreate, ConversationPatch, ConversationPut
from contracts.pages import Order, Page
from history_service.domain import ConversationCursor, as_utc, conversation_cursor
from history_service.errors import ConversationConflictError, InvalidCursorError
from history_service.storage.roles import absent_conversation
from history_service.tables import conversations, runs
from service_kit.database import Transaction
from service_kit.statements import Statement

COLUMNS = tuple(conversations.c[name] for name in Conversation.model_fields)
IS_OWN = (conversations.c.id == bindparam("id"), conversations.c.user_id == bindparam("user_id"))

_NOW = func.clock_timestamp()
_GIVEN: dict[str, ColumnElement[Any]] = {
    name: bindparam(name, type_=conversations.c[name].type)
    for name in ("title", "status", "metadata", "allowed_image_domains")
}

_GET = Statement(select(*COLUMNS).where(*IS_OWN))
_LOCK = Statement(select(conversations.c.last_position).where(*IS_OWN).with_for_update(key_share=True))
_INSERT = Statement(
    insert(conversations)
    .values(
        _GIVEN
        | {name: bindparam(name, type_=String) for name in ("id", "user_id")}
        | {"updated_at": _NOW}
        | {"created_at": func.coalesce(bindparam("created_at", type_=DateTime(timezone=True)), _NOW)}
    )
    # No conflict target: with one, two inserts of the same id can wait for each other at the other unique index.
    .on_conflict_do_nothing()
    .returning(*COLUMNS)
)
_REPLACE = Statement(update(conversations).where(*IS_OWN).values(_GIVEN | {"updated_at": _NOW}).returning(*COLUMNS))
_PATCH = Statement(
    update(conversations)
    .where(*IS_OWN)
    .values(
        title=case((bindparam("sets_title", type_=Boolean), _GIVEN["title"]), else_=conversations.c.title),
        status=func.coalesce(_GIVEN["status"], conversations.c.status),
        metadata=func.coalesce(_GIVEN["metadata"], conversations.c.metadata),
        updated_at=_NOW,
    )
    .returning(*COLUMNS)
)
_TOUCH = Statement(
    update(conversations)
    .where(*IS_OWN)
    .values(title=func.coalesce(conversations.c.title, _GIVEN["title"]), updated_at=_NOW)
)
_DELETE = Statement(delete(conversations).where(*IS_OWN))
_LOCK_RUNS = Statement(
    select(runs.c.id)
    .where(runs.c.conversation_id == bindparam("id"), runs.c.user_id == bindparam("user_id"))
    .order_by(runs.c.id)
    .with_for_update()
)
_PLACE = Statement(select(conversations.c.updated_at).where(*IS_OWN))


def _list(order: Order, *, after: bool) -> ClauseElement:
    place = (conversations.c.updated_at, conversations.c.id)
    seen = tuple_(bindparam("seen_at", type_=DateTime(timezone=True)), bindparam("seen_id", type_=String))
    statement = select(*COLUMNS).where(conversations.c.user_id == bindparam("user_id"))
    if after:
        statement = statement.where(tuple_(*place) > seen if order == "asc" else tuple_(*place) < seen)
    by = [column.asc() if order == "asc" else column.desc() for column in place]
    return statement.order_by(*by).limit(bindparam("rows"))


_FIRST: Mapping[Order, Statement] = {
    "asc": Statement(_list("asc", after=False)),
    "desc": Statement(_list("desc", after=False)),
}
_NEXT: Mapping[Order, Statement] = {
    "asc": Statement(_list("asc", after=True)),
    "desc": Statement(_list("desc", after=True)),
}


class ConversationStore:
    """The user's conversations, within one transaction that acts as the user."""

    def __init__(self, transaction: Transaction, user_id: str) -> None:
        self._transaction = transaction
        self._user_id = user_id

    async def create(self, conversation_id: str, new: ConversationCreate) -> Conversation:
        """Insert a conversation. Raises ConversationConflictError, or ConversationForbiddenError if it is foreign."""
        values = {"title": new.title, "metadata": new.metadata, "status": {"type": "active"}}
        created = await self._one(_INSERT, id=conversation_id, **values, allowed_image_domains=None, created_at=None)
        if created is None:
            await self.get(conversation_id)
            raise ConversationConflictError()
        return created

    async def get(self, conversation_id: str) -> Conversation:
        """Return a conversation. Raises its absence."""
        found = await self._one(_GET, id=conversation_id)
        if found is None:
            raise await absent_conversation(self._transaction, conversation_id)
        return found

    async def put(self, put: ConversationPut) -> Conversation:
        """Create or replace a conversation; `created_at` stays what it was first."""
        values = put.model_dump(exclude={"created_at"})
        stored = await self._one(_REPLACE, **values) or await self.ensure(put) or await self._one(_REPLACE, **values)
        if stored is None:
            raise await absent_conversation(self._transaction, put.id)
        return stored

    async def ensure(self, put: ConversationPut) -> Conversation | None:
        """Create a conversation unless its id is taken; then return None."""
        return await self._one(_INSERT, **put.model_dump(exclude={"created_at"}), created_at=as_utc(put.created_at))

    async def patch(self, conversation_id: str, patch: ConversationPatch) -> Conversation:
        """Change what was set on `patch`. Raises the conversation's absence."""
        sets_title = "title" in patch.model_fields_set
        changed = await self._one(_PATCH, id=conversation_id, sets_title=sets_title, **patch.model_dump())
        if changed is None:
            raise await absent_conversation(self._transaction, conversation_id)
        return changed

    async def touch(self, conversation_id: str, title: str | None = None) -> None:
        """Move a conversation to the newest place in the list, and give it the title if it has none."""
        await self._transaction.execute(_TOUCH, id=conversation_id, user_id=self._user_id, title=title)

    async def lock(self, conversation_id: str) -> int:
        """Keep other writers out until the transaction ends; returns the last position. Raises its absence."""
        position = await self._transaction.value(_LOCK, id=conversation_id, user_id=self._user_id)
        if position is None:
            raise await absent_conversation(self._transaction, conversation_id)
        return int(position)

    async def lock_runs(self, conversation_id: str) -> None:
        """Keep workers out of the conversation's runs until the transaction ends.

        They lock the run, then items and the conversation. Whoever locks the conversation first and then what they
        write comes here before, so that neither waits in a circle.
        """
        await self._transaction.rows(_LOCK_RUNS, id=conversation_id, user_id=self._user_id)

    async def delete(self, conversation_id: str) -> None:
        """Delete a conversation with its messages and runs. Raises its absence."""
        await self.lock_runs(conversation_id)
        if not await self._transaction.execute(_DELETE, id=conversation_id, user_id=self._user_id):
            raise await absent_conversation(self._transaction, conversation_id)

    async def list(self, limit: int, after: str | None, order: Order) -> Page[Conversation]:
        """Return a page by (updated_at, id). Raises InvalidCursorError."""
        if after is None:
            rows = await self._transaction.rows(_FIRST[order], user_id=self._user_id, rows=limit + 1)
        else:
            seen = await self._seen(conversation_cursor(after))
            rows = await self._transaction.rows(_NEXT[order], user_id=self._user_id, rows=limit + 1, **seen)
        page = [conversation_of(row) for row in rows[:limit]]
        last = str(ConversationCursor(page[-1].id, page[-1].updated_at)) if page else None
        return Page(data=page, has_more=len(rows) > limit, after=last)

    async def _seen(self, cursor: ConversationCursor) -> dict[str, Any]:
        seen_at = cursor.updated_at or await self._transaction.value(
            _PLACE, id=cursor.conversation_id, user_id=self._user_id
        )
        if seen_at is None:
            raise InvalidCursorError()
        return {"seen_at": seen_at, "seen_id": cursor.conversation_id}

    async def _one(self, statement: Statement, **values: Any) -> Conversation | None:
        row = await self._transaction.row(statement, user_id=self._user_id, **values)
        return None if row is None else conversation_of(row)


def conversation_of(row: Record) -> Conversation:
    """Return the conversation that a row of `COLUMNS` (and maybe more) tells of."""
    return Conversation.model_validate({name: row[name] for name in Conversation.model_fields})
