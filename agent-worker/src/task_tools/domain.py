"""Rules about tasks; nothing here reads or writes anything."""

import hashlib
import json
from typing import Any

from contracts.tasks import TASK_DESCRIPTION_MAX_LENGTH, TASK_TITLE_MAX_LENGTH
from task_tools.errors import (
    CallKeyInvalidError,
    DescriptionTooLongError,
    TitleMissingError,
    TitleTooLongError,
    UnstorableTextError,
)

MAX_CALL_KEY_LENGTH = 300


def is_storable(text: str) -> bool:
    """Tell whether Postgres can hold the text: no NUL, and encodable as UTF-8."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def clean_title(title: str) -> str:
    """Return the title on one line, without blanks around it. Raises for one that cannot be a task's."""
    cleaned = " ".join(title.split())
    if not cleaned:
        raise TitleMissingError()
    if len(cleaned) > TASK_TITLE_MAX_LENGTH:
        raise TitleTooLongError()
    if not is_storable(cleaned):
        raise UnstorableTextError()
    return cleaned


def clean_description(description: str | None) -> str | None:
    """Return the description without blanks around it, None for an empty one. Raises if it cannot be kept."""
    cleaned = (description or "").strip()
    if len(cleaned) > TASK_DESCRIPTION_MAX_LENGTH:
        raise DescriptionTooLongError()
    if not is_storable(cleaned):
        raise UnstorableTextError()
    return cleaned or None


def title_key_of(title: str) -> str:
    """Return what titles are compared by: the same for titles that differ in case or blanks only."""
    return " ".join(title.split()).casefold()


def check_call_key(key: str) -> str:
    """Return the idempotency key. Raises CallKeyInvalidError."""
    if not 0 < len(key) <= MAX_CALL_KEY_LENGTH or not key.isprintable():
        raise CallKeyInvalidError()
    return key


def digest_of(arguments: dict[str, Any]) -> str:
    """Return what tells the arguments of two calls apart: equal for equal JSON, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(arguments, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
