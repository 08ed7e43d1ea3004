"""Deleting all of one user's, and the blobs that deleted rows leave behind."""

import asyncio

import structlog

from history_service.errors import DeletionUnfinishedError
from history_service.storage.blobs import BlobStore
from history_service.storage.user import UserAccess

BATCH_CONVERSATIONS = 100
BATCH_ROWS = 1000
BATCH_BLOBS = 100
REQUEST_SECONDS = 5.0
"""How long one request goes on; whoever wants more of it repeats it."""

log = structlog.get_logger(__name__)


class UserDeletion:
    """Deletes everything of one user in short transactions; repeating it does what is left to do."""

    def __init__(self, user: UserAccess, blobs: BlobStore) -> None:
        self._user = user
        self._blobs = blobs

    async def delete(self, seconds: float = REQUEST_SECONDS) -> None:
        """Delete rows, then bytes. Raises DeletionUnfinishedError when the time is over, BlobsUnavailableError."""
        give_up = asyncio.get_running_loop().time() + seconds
        for delete_some in (self._conversations, self._others, self._remove_blobs):
            while await delete_some():
                if asyncio.get_running_loop().time() > give_up:
                    raise DeletionUnfinishedError(headers={"Retry-After": "0"})
        log.info("user_deleted")

    async def _conversations(self) -> bool:
        async with self._user.transaction() as history:
            return (await history.deletions.delete_first_conversations(BATCH_CONVERSATIONS)).more

    async def _others(self) -> bool:
        async with self._user.transaction() as history:
            return await history.deletions.delete_others(BATCH_ROWS)

    async def _remove_blobs(self) -> bool:
        async with self._user.transaction() as history:
            keys = await history.deletions.due_blobs(BATCH_BLOBS)
        for key in keys:
            await self._blobs.delete(key)
        async with self._user.transaction() as history:
            await history.deletions.forget_blobs(keys)
        return len(keys) == BATCH_BLOBS
