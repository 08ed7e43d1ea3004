"""What is derived from a ChatKit attachment, once, when it is stored; pure functions without I/O."""

import re
from dataclasses import dataclass
from urllib.parse import quote

from contracts.attachments import ATTACHMENT_NAME_MAX_LENGTH, MIME_TYPE_MAX_LENGTH
from contracts.conversations import JsonObject
from history_service.domain import is_valid_id
from history_service.errors import InvalidAttachmentError

_TYPES = ("file", "image")
_NAME = re.compile(rf"[^\x00-\x1f\x7f]{{1,{ATTACHMENT_NAME_MAX_LENGTH}}}")
_TOKEN = r"[A-Za-z0-9!#$&^_.+\-]+"  # noqa: S105 - RFC 9110 calls it so
_MIME_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(; ?{_TOKEN}=({_TOKEN}|\"[ !#-\[\]-~]*\"))*")


@dataclass(frozen=True)
class AttachmentContent:
    """A validated ChatKit attachment with what is derived from it."""

    id: str
    conversation_id: str | None
    name: str
    mime_type: str
    payload: JsonObject


def attachment_of(payload: JsonObject, attachment_id: str | None = None) -> AttachmentContent:
    """Validate an attachment and derive its columns. Raises InvalidAttachmentError.

    `attachment_id` is the id it was sent under, if it was sent under one.
    """
    identifier, conversation_id = payload.get("id"), payload.get("thread_id")
    if not isinstance(identifier, str) or not is_valid_id(identifier) or attachment_id not in (None, identifier):
        raise InvalidAttachmentError("The attachment's id is missing, malformed or not the one it was sent under.")
    if payload.get("type") not in _TYPES:
        raise InvalidAttachmentError("The attachment's type is not one of ChatKit's.")
    if conversation_id is not None and not (isinstance(conversation_id, str) and is_valid_id(conversation_id)):
        raise InvalidAttachmentError("The attachment's thread_id is malformed.")
    return AttachmentContent(
        id=identifier,
        conversation_id=conversation_id,
        name=_matching(payload, "name", _NAME),
        mime_type=_mime_type(payload),
        payload=payload,
    )


def content_disposition(name: str) -> str:
    """Return a header value that makes browsers save a file under this name (RFC 6266), whatever characters it has."""
    plain = re.sub(r"[^ !#-\[\]-~]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _mime_type(payload: JsonObject) -> str:
    mime_type = _matching(payload, "mime_type", _MIME_TYPE)
    if len(mime_type) > MIME_TYPE_MAX_LENGTH:
        raise InvalidAttachmentError(f"A MIME type has at most {MIME_TYPE_MAX_LENGTH} characters.")
    return mime_type


def _matching(payload: JsonObject, member: str, pattern: re.Pattern[str]) -> str:
    value = payload.get(member)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidAttachmentError(f"The attachment's {member} is missing or malformed.")
    return value
