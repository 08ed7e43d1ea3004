"""Ids of OpenAI items: a row's own, or derived from it where ChatKit's id is none that OpenAI would take.

OpenAI refuses a replayed item whose id does not begin as its type's ids do (`msg`, `fc`), or that has other characters
than letters, digits, `_` and `-`. So a ChatKit row's id gets a prefix that says which of its items is meant: the row as
a message, or a tool call or its result, which a digest of the call's own id tells apart from the row's others.

    msgc_<row>   fcc_<digest>_<row>   fcr_<digest>_<row>
"""

import hashlib
import re
from typing import Literal

from contracts.ids import uuid7
from history_service.openai_projection.item_types import ITEM_TYPES

PLACEHOLDER_ID = "__fake_id__"
"""`agents.models.fake_id.FAKE_RESPONSES_ID`: the Agents SDK's word for "no id"."""

CallPart = Literal["fcc", "fcr"]
"""A tool call, and its result."""

ITEM_ID_PATTERN = r"^[A-Za-z0-9_.:\-]{1,144}$"
"""Room for a row's id of 128 characters and what is put before it."""

_DIGEST_LENGTH = 8

_DERIVED = re.compile(r"(?:msgc|(?:fcc|fcr)_[0-9a-f]{8})_(?P<row>.+)", re.DOTALL)


def new_item_id(item_type: str) -> str:
    """Return a time-ordered id that begins as OpenAI's ids of this type do."""
    return f"{ITEM_TYPES[item_type].prefix}_{uuid7().hex}"


def call_part_id(part: CallPart, row_id: str, call_id: str, repetition: int = 0) -> str:
    """Return the id of a ChatKit row's tool call or of its result.

    It does not depend on the row's other calls. `repetition` counts calls of the row with the same `call_id`, from 0.
    """
    digest = hashlib.sha256(f"{repetition} {call_id}".encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{part}_{digest}_{row_id}"


def message_id(row_id: str) -> str:
    """Return the id of a ChatKit row as a message: its own if OpenAI would take it for one."""
    return row_id if row_id.startswith("msg_") else f"msgc_{row_id}"


def row_behind(item_id: str) -> str | None:
    """Return the id of the row that an id is derived from; None if it is not derived."""
    derived = _DERIVED.fullmatch(item_id)
    return derived["row"] if derived else None


def rows_named_by(item_id: str) -> list[str]:
    """Return the ids of the rows that can have the item."""
    behind = row_behind(item_id)
    return [item_id] if behind is None else [item_id, behind]
