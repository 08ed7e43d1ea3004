"""Attachments, and the blobs that have lost theirs."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, text
from sqlalchemy.dialects.postgresql import JSON
from sqlmodel import Field, SQLModel

from contracts.attachments import ATTACHMENT_NAME_MAX_LENGTH, MIME_TYPE_MAX_LENGTH, AttachmentStatus
from history_service.tables.schema import SCHEMA, belongs_to_conversation, one_of

_NOW = text("clock_timestamp()")
_STORED = "(status = 'stored')"


def _is_owners(key: str) -> str:
    """A blob's key begins with its owner's digest: nobody can claim, or have deleted, another's bytes."""
    return f"starts_with({key}, encode(sha256(convert_to(user_id, 'UTF8')), 'hex') || '/')"


class AttachmentRow(SQLModel, table=True):
    """An attachment, in a conversation or in none yet. `payload` is the exact ChatKit attachment.

    However a row goes, a trigger notes its `blob_key` in `blob_deletions`.
    """

    __tablename__ = "attachments"  # pyright: ignore[reportAssignmentType] - SQLModel declares it for a function
    __table_args__ = (
        belongs_to_conversation("attachments_conversation"),
        CheckConstraint("user_id <> ''", name="attachments_user_id_check"),
        CheckConstraint(f"char_length(name) BETWEEN 1 AND {ATTACHMENT_NAME_MAX_LENGTH}", name="attachments_name_check"),
        CheckConstraint(
            f"char_length(mime_type) BETWEEN 1 AND {MIME_TYPE_MAX_LENGTH}", name="attachments_mime_type_check"
        ),
        CheckConstraint("size_bytes >= 0", name="attachments_size_check"),
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="attachments_sha256_check"),
        CheckConstraint(one_of("status", AttachmentStatus), name="attachments_status_check"),
        CheckConstraint(
            f"{_STORED} = (sha256 IS NOT NULL) AND {_STORED} = (blob_key IS NOT NULL)", name="attachments_stored_check"
        ),
        CheckConstraint(_is_owners("blob_key"), name="attachments_blob_key_check"),
        CheckConstraint("json_typeof(payload) = 'object'", name="attachments_payload_check"),
        Index("attachments_by_conversation", "user_id", "conversation_id", "created_at", "id"),
        Index("attachments_unattached", "created_at", "id", postgresql_where=text("conversation_id IS NULL")),
        {"schema": SCHEMA},
    )

    id: str = Field(primary_key=True)
    user_id: str
    conversation_id: str | None = None
    name: str
    mime_type: str
    size_bytes: int = Field(sa_type=BigInteger)
    sha256: str | None = None
    status: str = Field(sa_column_kwargs={"server_default": "pending"})
    blob_key: str | None = None
    payload: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(sa_column_kwargs={"server_default": _NOW})


class BlobDeletionRow(SQLModel, table=True):
    """A blob to remove once `due_at` has come: of a deleted attachment, or of an upload that was never finished."""

    __tablename__ = "blob_deletions"  # pyright: ignore[reportAssignmentType] - SQLModel declares it for a function
    __table_args__ = (
        CheckConstraint(_is_owners("key"), name="blob_deletions_key_check"),
        Index("blob_deletions_due", "due_at"),
        Index("blob_deletions_by_user", "user_id"),
        {"schema": SCHEMA},
    )

    key: str = Field(primary_key=True)
    user_id: str
    due_at: datetime = Field(sa_column_kwargs={"server_default": _NOW})


attachments = SQLModel.metadata.tables[f"{SCHEMA}.attachments"]
blob_deletions = SQLModel.metadata.tables[f"{SCHEMA}.blob_deletions"]
