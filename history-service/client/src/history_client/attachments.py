"""Attachments: announced, uploaded, fetched, deleted."""

from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager

from pydantic import TypeAdapter

from contracts import principal
from contracts.attachments import Attachment, AttachmentCreate, AttachmentPut
from contracts.conversations import JsonObject
from contracts.pages import DEFAULT_PAGE_LIMIT, Order, Page
from history_client.calls import UserCalls, page_query, path_of
from history_client.transport import chunks_of

_ATTACHMENTS = TypeAdapter(Page[Attachment])
_BYTES = "application/octet-stream"
_PIECE = 256 * 1024
"""How much is sent without letting others have their turn."""


class AttachmentCalls(UserCalls):
    """The user's attachments."""

    async def create_attachment(self, payload: JsonObject, size_bytes: int) -> Attachment:
        """Announce a file of so many bytes by its ChatKit attachment; the very same again changes nothing."""
        body = AttachmentCreate(payload=payload, size_bytes=size_bytes).model_dump_json()
        response = await self._send("POST", path_of("attachments"), principal.ATTACHMENTS_WRITE, body)
        return Attachment.model_validate_json(response.content)

    async def upload_attachment(self, attachment_id: str, content: bytes | AsyncIterable[bytes]) -> Attachment:
        """Send the bytes. The same again change nothing; others are a HistoryConflictError."""
        path = path_of("attachments", attachment_id, "content")
        body = _in_pieces(content) if isinstance(content, bytes) and len(content) > _PIECE else content
        response = await self._send("PUT", path, principal.ATTACHMENTS_WRITE, body, content_type=_BYTES)
        return Attachment.model_validate_json(response.content)

    async def get_attachment(self, attachment_id: str) -> Attachment:
        """Return what is known of an attachment."""
        response = await self._send("GET", path_of("attachments", attachment_id), principal.ATTACHMENTS_READ)
        return Attachment.model_validate_json(response.content)

    async def put_attachment(self, payload: JsonObject) -> Attachment:
        """Replace the ChatKit attachment with its id, as when a message takes it into a conversation."""
        path = path_of("attachments", str(payload.get("id")))
        body = AttachmentPut(payload=payload).model_dump_json()
        response = await self._send("PUT", path, principal.ATTACHMENTS_WRITE, body)
        return Attachment.model_validate_json(response.content)

    @asynccontextmanager
    async def download_attachment(self, attachment_id: str) -> AsyncGenerator[AsyncGenerator[bytes]]:
        """Open the bytes, to be read piece by piece: `async with … as chunks`, `async for chunk in chunks`."""
        path = path_of("attachments", attachment_id, "content")
        async with self._stream(path, principal.ATTACHMENTS_READ) as answer:
            yield chunks_of(answer)

    async def delete_attachment(self, attachment_id: str) -> None:
        """Delete an attachment with its bytes."""
        await self._send("DELETE", path_of("attachments", attachment_id), principal.ATTACHMENTS_WRITE)

    async def list_attachments(
        self,
        conversation_id: str,
        *,
        limit: int = DEFAULT_PAGE_LIMIT,
        after: str | None = None,
        order: Order = "asc",
    ) -> Page[Attachment]:
        """Return a page of a conversation's attachments in the order of their creation."""
        path = path_of("conversations", conversation_id, "attachments")
        response = await self._send("GET", path, principal.ATTACHMENTS_READ, query=page_query(limit, after, order))
        return _ATTACHMENTS.validate_json(response.content)


async def _in_pieces(content: bytes) -> AsyncGenerator[bytes]:
    for start in range(0, len(content), _PIECE):
        yield content[start : start + _PIECE]
