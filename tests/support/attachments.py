"""Builders of attachments, and a look at what is in their store."""

from pathlib import Path

from contracts.conversations import JsonObject
from contracts.ids import new_id
from history_client import UserHistory


def attachment(name: str = "notes.txt", conversation_id: str | None = None, **members: object) -> JsonObject:
    """What ChatKit knows of a file."""
    return {
        "id": new_id("atc"),
        "type": "file",
        "name": name,
        "mime_type": "text/plain",
        "thread_id": conversation_id,
        **members,
    }


async def upload(user: UserHistory, content: bytes = b"hello", conversation_id: str | None = None) -> str:
    """Announce and upload a file; returns its id."""
    created = await user.create_attachment(attachment(conversation_id=conversation_id), len(content))
    await user.upload_attachment(created.id, content)
    return created.id


async def download(user: UserHistory, attachment_id: str) -> bytes:
    """Return the bytes."""
    async with user.download_attachment(attachment_id) as chunks:
        return b"".join([chunk async for chunk in chunks])


def files_in(folder: Path) -> list[Path]:
    """Return every file and folder of the store, those of unfinished writes too."""
    return sorted(folder.rglob("*")) if folder.is_dir() else []
