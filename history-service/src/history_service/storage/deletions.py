"""Deleting much of one user's, in bounded statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, DateTime, String, Table, bindparam, delete, func, select, tuple_

from history_service.storage.runs import IS_UNFINISHED
from history_service.tables import attachments, blob_deletions, conversations, messages, runs
from history_service.tables.idempotency import answers
from service_kit.database import Transaction
from service_kit.statements import Statement

MAX_MESSAGES = 5000
"""How many messages one statement deletes: what follows by cascade is small beside them."""

_IDS = bindparam("ids", type_=ARRAY(String))
_USER = bindparam("user_id", type_=String)
_IDLE_BEFORE = bindparam("idle_before", type_=DateTime(timezone=True))
_NOW = func.clock_timestamp()

_FIRST = Statement(
    select(conversations.c.id)
    .where(conversations.c.user_id == _USER)
    .order_by(conversations.c.id)
    .limit(bindparam("rows"))
)
_LOCK_RUNS = Statement(
    select(runs.c.id)
    .where(runs.c.conversation_id == func.any(_IDS), runs.c.user_id == _USER)
    .order_by(runs.c.id)
    .with_for_update()
)
_LOCK = Statement(
    select(conversations.c.id)
    .where(
        conversations.c.id == func.any(_IDS),
        conversations.c.user_id == _USER,
        _IDLE_BEFORE.is_(None) | (conversations.c.updated_at < _IDLE_BEFORE),
        _IDLE_BEFORE.is_(None)
        | ~select(runs.c.id).where(runs.c.conversation_id == conversations.c.id, IS_UNFINISHED).exists(),
    )
    .order_by(conversations.c.id)
    .with_for_update()
)
_DELETE_MESSAGES = Statement(
    delete(messages).where(
        tuple_(messages.c.conversation_id, messages.c.id).in_(
            select(messages.c.conversation_id, messages.c.id)
            .where(messages.c.conversation_id == func.any(_IDS), messages.c.user_id == _USER)
            .limit(bindparam("rows"))
        )
    )
)
_DELETE = Statement(delete(conversations).where(conversations.c.id == func.any(_IDS), conversations.c.user_id == _USER))


def _delete_some(table: Table, *key: ColumnElement[Any]) -> Statement:
    some = select(*key).where(table.c.user_id == _USER).limit(bindparam("rows"))
    return Statement(delete(table).where(tuple_(*key).in_(some), table.c.user_id == _USER))


_DELETE_OTHERS = (
    _delete_some(attachments, attachments.c.id),
    _delete_some(answers, answers.c.user_id, answers.c.key),
)
"""What is in no conversation, table by table."""

_DELETE_UNATTACHED = Statement(
    delete(attachments).where(
        attachments.c.id == func.any(_IDS),
        attachments.c.user_id == _USER,
        attachments.c.conversation_id.is_(None),
        attachments.c.created_at < _IDLE_BEFORE,
    )
)
_DUE_BLOBS = Statement(
    select(blob_deletions.c.key)
    .where(blob_deletions.c.user_id == _USER, blob_deletions.c.due_at <= _NOW)
    .limit(bindparam("rows"))
)
_FORGET_BLOBS = Statement(
    delete(blob_deletions).where(blob_deletions.c.key == func.any(_IDS), blob_deletions.c.user_id == _USER)
)


@dataclass(frozen=True)
class Deleted:
    """How many rows were deleted, not counting what goes with them, and whether there is more to delete."""

    rows: int
    more: bool


class DeletionStore:
    """What is the user's, to be deleted, within one transaction that acts as the user."""

    def __init__(self, transaction: Transaction, user_id: str) -> None:
        self._transaction = transaction
        self._user_id = user_id

    async def delete_conversations(self, ids: Sequence[str], *, idle_before: datetime | None = None) -> Deleted:
        """Delete these conversations with all that is theirs, or if that is much, a bounded part of their messages.

        With `idle_before`, those that have changed since, or have an unfinished run, are left alone.
        """
        # Workers lock the run, then the conversation; in the same order here, so that neither waits in a circle.
        await self._transaction.rows(_LOCK_RUNS, ids=ids, user_id=self._user_id)
        locked = await self._transaction.rows(_LOCK, ids=ids, user_id=self._user_id, idle_before=idle_before)
        doomed = [row["id"] for row in locked]
        if await self._delete_by_ids(_DELETE_MESSAGES, doomed, rows=MAX_MESSAGES) == MAX_MESSAGES:
            return Deleted(0, more=True)
        return Deleted(await self._delete_by_ids(_DELETE, doomed), more=False)

    async def delete_first_conversations(self, rows: int) -> Deleted:
        """Delete a bounded part of the user's conversations."""
        first = await self._transaction.rows(_FIRST, user_id=self._user_id, rows=rows)
        deleted = await self.delete_conversations([row["id"] for row in first])
        return Deleted(deleted.rows, more=deleted.more or len(first) == rows)

    async def delete_others(self, rows: int) -> bool:
        """Delete a bounded part of what is in no conversation; tells whether there is more."""
        deleted = [await self._transaction.execute(some, user_id=self._user_id, rows=rows) for some in _DELETE_OTHERS]
        return rows in deleted

    async def delete_unattached(self, ids: Sequence[str], before: datetime) -> int:
        """Delete those of these attachments that are in no conversation and older than that."""
        return await self._delete_by_ids(_DELETE_UNATTACHED, ids, idle_before=before)

    async def due_blobs(self, rows: int) -> list[str]:
        """Return keys of blobs that are to be removed."""
        due = await self._transaction.rows(_DUE_BLOBS, user_id=self._user_id, rows=rows)
        return [row["key"] for row in due]

    async def forget_blobs(self, keys: Sequence[str]) -> None:
        """Take note that these blobs are gone."""
        await self._delete_by_ids(_FORGET_BLOBS, keys)

    async def _delete_by_ids(self, statement: Statement, ids: Sequence[str], **values: object) -> int:
        return await self._transaction.execute(statement, ids=ids, user_id=self._user_id, **values)
