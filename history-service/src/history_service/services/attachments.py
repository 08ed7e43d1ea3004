"""Attachments and their bytes, which are written and read while no transaction is open."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from tempfile import SpooledTemporaryFile
from typing import IO

import structlog

from contracts.attachments import Attachment
from history_service.errors import ContentConflictError, ContentNotFoundError
from history_service.storage.attachments import AttachmentStore
from history_service.storage.blobs import BlobStore, new_blob_key
from history_service.storage.user import UserAccess

IN_MEMORY_BYTES = 1024 * 1024
"""An upload of more than that waits in a temporary file for its end."""

RESERVATION = timedelta(minutes=10)
"""How long storing received bytes may take: far longer than the store's own limits let it."""

log = structlog.get_logger(__name__)


class AttachmentService:
    """Stores and gives the bytes of one user's attachments."""

    def __init__(self, user: UserAccess, blobs: BlobStore) -> None:
        self._user = user
        self._blobs = blobs

    async def upload(self, attachment_id: str, chunks: AsyncIterator[bytes]) -> Attachment:
        """Store the bytes of a pending attachment. The same bytes again change nothing; others are refused.

        They are received as a whole first. Then their key is noted for removal, they are written, and the transaction
        that makes them the attachment's takes the note back: whatever ends this in between, nothing is left behind.

        Raises the attachment's absence, ContentConflictError, BlobsUnavailableError.
        """
        async with self._user.transaction() as history:
            attachment = await history.attachments.get(attachment_id)
        with SpooledTemporaryFile[bytes](max_size=IN_MEMORY_BYTES) as received:
            size_bytes, sha256 = await _receive(chunks, received, attachment.size_bytes)
            if attachment.status == "stored" or size_bytes != attachment.size_bytes:
                return AttachmentStore.check(attachment, size_bytes, sha256)
            key = new_blob_key(self._user.user_id)
            async with self._user.transaction() as history:
                await history.attachments.reserve(key, RESERVATION)
            received.seek(0)
            await self._blobs.put(key, received)
        async with self._user.transaction() as history:
            stored = await history.attachments.store(attachment_id, key, size_bytes, sha256)
        log.info("attachment_stored", attachment=attachment_id, size_bytes=size_bytes)
        return stored

    async def open(self, attachment_id: str) -> tuple[Attachment, Iterator[bytes]]:
        """Return the bytes, to be iterated in a thread. Raises the attachment's absence, ContentNotFoundError."""
        async with self._user.transaction() as history:
            attachment = await history.attachments.get(attachment_id)
            key = await history.attachments.blob_key(attachment_id)
        content = await self._blobs.open(key) if key is not None else None
        if content is None:
            if key is not None:
                log.error("attachment_content_missing", attachment=attachment_id)
            raise ContentNotFoundError()
        return attachment, content


async def _receive(chunks: AsyncIterator[bytes], into: IO[bytes], announced: int) -> tuple[int, str]:
    """Write the chunks; returns their size and digest. Raises ContentConflictError if they are more than announced."""
    size_bytes, digest = 0, hashlib.sha256()
    async for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > announced:
            raise ContentConflictError()
        digest.update(chunk)
        into.write(chunk)
    return size_bytes, digest.hexdigest()
