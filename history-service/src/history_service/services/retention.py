"""What the sweeper deletes: idle conversations, attachments that no message took, and blobs without an attachment."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from history_service.errors import BlobsUnavailableError
from history_service.settings import Settings
from history_service.storage.blobs import BlobStore
from history_service.storage.deletions import Deleted, DeletionStore
from history_service.storage.retention import Expired, RetentionStore
from history_service.storage.roles import RETENTION_ROLE, USER_ROLE
from service_kit.database import Database
from service_kit.sweeper import SweepJob, Swept

POSTPONEMENT = timedelta(minutes=5)
"""How long a blob that could not be removed lets others have their turn."""

log = structlog.get_logger(__name__)

_Find = Callable[[RetentionStore, datetime, int], Awaitable[list[Expired]]]
_Delete = Callable[[DeletionStore, list[str], datetime], Awaitable[Deleted]]


def retention_jobs(settings: Settings, database: Database, blobs: BlobStore) -> list[SweepJob]:
    """Return the jobs that the settings ask for."""
    retention = Retention(
        database,
        blobs,
        settings.retention_batch_size,
        timedelta(days=settings.retention_days),
        timedelta(hours=settings.idempotency_hours),
    )
    jobs: list[SweepJob] = []
    if settings.retention_days:
        jobs.append(SweepJob("idle_conversations", retention.delete_idle_conversations))
        jobs.append(SweepJob("unattached_attachments", retention.delete_unattached))
    # Last, for what the others have left behind.
    return [
        *jobs,
        SweepJob("kept_answers", retention.delete_answers),
        SweepJob("unneeded_blobs", retention.remove_blobs),
    ]


class Retention:
    """Deletes what has expired, a bounded batch at a time."""

    def __init__(self, database: Database, blobs: BlobStore, batch: int, age: timedelta, answer_age: timedelta) -> None:
        self._database = database
        self._blobs = blobs
        self._batch = batch
        self._age = age
        self._answer_age = answer_age

    async def delete_idle_conversations(self) -> Swept:
        """Delete conversations that have not changed for so long and have no unfinished run."""
        return await self._delete("idle_conversations", RetentionStore.idle_conversations, _delete_conversations)

    async def delete_unattached(self) -> Swept:
        """Delete attachments of that age that are in no conversation."""
        return await self._delete("unattached_attachments", RetentionStore.unattached, _delete_unattached)

    async def delete_answers(self) -> Swept:
        """Delete answers to creates that nobody will repeat any more."""
        async with self._database.transaction(RETENTION_ROLE) as transaction:
            store = RetentionStore(transaction)
            deleted = await store.delete_answers(await store.cutoff(self._answer_age), self._batch)
        return Swept(deleted, more=deleted == self._batch)

    async def remove_blobs(self) -> Swept:
        """Remove blobs that are noted for it: first the bytes, then the note. Doing it twice does no harm."""
        async with self._database.transaction(RETENTION_ROLE) as transaction:
            keys = await RetentionStore(transaction).due_blobs(self._batch)
        removed = [key for key in keys if await self._remove(key)]
        stuck = [key for key in keys if key not in set(removed)]
        async with self._database.transaction(RETENTION_ROLE) as transaction:
            store = RetentionStore(transaction)
            await store.forget_blobs(removed)
            await store.postpone_blobs(stuck, POSTPONEMENT)
        return Swept(len(removed), more=len(keys) == self._batch)

    async def _remove(self, key: str) -> bool:
        try:
            await self._blobs.delete(key)
        except BlobsUnavailableError:
            return False
        return True

    async def _delete(self, name: str, find: _Find, delete: _Delete) -> Swept:
        """Find under the retention role and delete as each owner, in one transaction, in one instance at a time."""
        async with self._database.transaction(RETENTION_ROLE) as transaction:
            retention = RetentionStore(transaction)
            if not await retention.try_lock(name):
                return Swept(0, more=False)
            before = await retention.cutoff(self._age)
            found = await find(retention, before, self._batch)
            more = sum(len(expired.ids) for expired in found) == self._batch
            deleted = 0
            for expired in found:
                await transaction.assume(USER_ROLE, expired.user_id)
                part = await delete(DeletionStore(transaction, expired.user_id), expired.ids, before)
                deleted += part.rows
                more = more or part.more
        if deleted:
            log.info("expired_rows_deleted", job=name, rows=deleted)
        return Swept(deleted, more)


async def _delete_conversations(store: DeletionStore, ids: list[str], before: datetime) -> Deleted:
    return await store.delete_conversations(ids, idle_before=before)


async def _delete_unattached(store: DeletionStore, ids: list[str], before: datetime) -> Deleted:
    return Deleted(await store.delete_unattached(ids, before), more=False)
