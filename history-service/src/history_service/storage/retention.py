"""What has expired, whoever's it is: found under a role that may not delete it, but for the notes of blobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ARRAY, Interval, String, bindparam, delete, func, select, tuple_, update

from history_service.storage.runs import IS_UNFINISHED
from history_service.tables import answers, attachments, blob_deletions, conversations, runs
from service_kit.database import Transaction
from service_kit.statements import Statement

_NOW = func.clock_timestamp()
_KEYS = bindparam("keys", type_=ARRAY(String))
_SPAN = bindparam("span", type_=Interval)

_TRY_LOCK = Statement(select(func.pg_try_advisory_xact_lock(func.hashtextextended(bindparam("name"), 0))))
_CUTOFF = Statement(select(_NOW - _SPAN))
_IDLE = Statement(
    select(conversations.c.user_id, conversations.c.id)
    .where(
        conversations.c.updated_at < bindparam("before"),
        ~select(runs.c.conversation_id).where(runs.c.conversation_id == conversations.c.id, IS_UNFINISHED).exists(),
    )
    .order_by(conversations.c.updated_at, conversations.c.id)
    .limit(bindparam("rows"))
)
_UNATTACHED = Statement(
    select(attachments.c.user_id, attachments.c.id)
    .where(attachments.c.conversation_id.is_(None), attachments.c.created_at < bindparam("before"))
    .order_by(attachments.c.created_at, attachments.c.id)
    .limit(bindparam("rows"))
)
_DUE_BLOBS = Statement(
    select(blob_deletions.c.key)
    .where(blob_deletions.c.due_at <= _NOW)
    .order_by(blob_deletions.c.due_at)
    .limit(bindparam("rows"))
)
_FORGET_BLOBS = Statement(delete(blob_deletions).where(blob_deletions.c.key == func.any(_KEYS)))
_POSTPONE_BLOBS = Statement(
    update(blob_deletions).where(blob_deletions.c.key == func.any(_KEYS)).values(due_at=_NOW + _SPAN)
)
_DELETE_ANSWERS = Statement(
    delete(answers).where(
        tuple_(answers.c.user_id, answers.c.key).in_(
            select(answers.c.user_id, answers.c.key)
            .where(answers.c.created_at < bindparam("before"))
            .order_by(answers.c.created_at)
            .limit(bindparam("rows"))
        )
    )
)


@dataclass(frozen=True)
class Expired:
    """Ids of one owner's rows."""

    user_id: str
    ids: list[str]


class RetentionStore:
    """Finds what has expired, within one transaction that begins as the retention role."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def try_lock(self, name: str) -> bool:
        """Keep other instances out until the transaction ends; False if one is at it already."""
        return bool(await self._transaction.value(_TRY_LOCK, name=f"threadkeep sweep of {name}"))

    async def cutoff(self, age: timedelta) -> datetime:
        """Return the time that long ago, by the database's clock."""
        return await self._transaction.value(_CUTOFF, span=age)

    async def idle_conversations(self, before: datetime, rows: int) -> list[Expired]:
        """Return up to `rows` conversations without change since and without an unfinished run, longest idle first."""
        return await self._expired(_IDLE, before, rows)

    async def unattached(self, before: datetime, rows: int) -> list[Expired]:
        """Return up to `rows` attachments that are older than that and in no conversation."""
        return await self._expired(_UNATTACHED, before, rows)

    async def delete_answers(self, before: datetime, rows: int) -> int:
        """Delete up to `rows` answers that were kept since before that time; returns how many."""
        return await self._transaction.execute(_DELETE_ANSWERS, before=before, rows=rows)

    async def due_blobs(self, rows: int) -> list[str]:
        """Return keys of blobs that are to be removed, longest due first."""
        return [row["key"] for row in await self._transaction.rows(_DUE_BLOBS, rows=rows)]

    async def forget_blobs(self, keys: Sequence[str]) -> None:
        """Take note that these blobs are gone."""
        await self._transaction.execute(_FORGET_BLOBS, keys=keys)

    async def postpone_blobs(self, keys: Sequence[str], span: timedelta) -> None:
        """Let others have their turn before these."""
        await self._transaction.execute(_POSTPONE_BLOBS, keys=keys, span=span)

    async def _expired(self, statement: Statement, before: datetime, rows: int) -> list[Expired]:
        by_owner: dict[str, list[str]] = {}
        for row in await self._transaction.rows(statement, before=before, rows=rows):
            by_owner.setdefault(row["user_id"], []).append(row["id"])
        return [Expired(user_id, ids) for user_id, ids in by_owner.items()]
