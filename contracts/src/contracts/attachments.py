"""Attachments: what is known of a file, and when its bytes are there."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from contracts.conversations import JsonObject, Wire

ATTACHMENT_NAME_MAX_LENGTH = 255
MIME_TYPE_MAX_LENGTH = 127

AttachmentStatus = Literal["pending", "stored"]
"""`pending`: announced, the bytes are awaited; `stored`: the bytes can be fetched."""


class Attachment(Wire):
    """A file of a user's, in a conversation or in none yet.

    `payload` is the exact ChatKit attachment; `sha256` (hex) is that of the bytes, once they are stored.
    """

    id: str
    user_id: str
    conversation_id: str | None = None
    name: str
    mime_type: str
    size_bytes: int
    sha256: str | None = None
    status: AttachmentStatus
    payload: JsonObject
    created_at: datetime


class AttachmentCreate(Wire):
    """A file to come: the ChatKit attachment, and how many bytes it will have.

    Id, name, MIME type and conversation are the payload's `id`, `name`, `mime_type` and `thread_id`.
    """

    payload: JsonObject
    size_bytes: Annotated[int, Field(strict=True, ge=0)]


class AttachmentPut(Wire):
    """The ChatKit attachment anew, as when a message takes it into a conversation."""

    payload: JsonObject
