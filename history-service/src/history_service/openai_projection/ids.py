"""Ids of OpenAI items: a row's own, or derived from it where ChatKit's id is none that OpenAI would take.

OpenAI refuses a replayed item whose id does not begin as its type's ids do (`msg`, `fc`), or that has other characters
than letters, digits, `_` and `-`. So a ChatKit row's id gets a prefix that says which of its items is meant, and for
the second tool call of a row and further ones its number:

    msgc_<row>   fcc_<row>   fcr_<row>   fcc1_<row>   fcr1_<row>   …
"""

import re
from typing import Literal

from contracts.ids import uuid7
from history_service.openai_projection.item_types import ITEM_TYPES

PLACEHOLDER_ID = "__fake_id__"
"""`agents.models.fake_id.FAKE_RESPONSES_ID`: the Agents SDK's word for "no id"."""

Part = Literal["msgc", "fcc", "fcr"]
"""A row as a message, its tool call, and the result of that."""

ITEM_ID_PATTERN = r"^[A-Za-z0-9_.:\-]{1,144}$"
"""Room for a row's id of 128 characters and what is put before it."""

_DERIVED = re.compile(r"(?:msgc|(?:fcc|fcr)(?:[1-9][0-9]{0,5})?)_(?P<row>.+)", re.DOTALL)


def new_item_id(item_type: str) -> str:
    """Return a time-ordered id that begins as OpenAI's ids of this type do."""
    return f"{ITEM_TYPES[item_type].prefix}_{uuid7().hex}"


def derived_id(part: Part, row_id: str, number: int = 0) -> str:
    """Return the id of an item that a ChatKit row stands for; `number` counts its tool calls from 0."""
    return f"{part}{number or ''}_{row_id}"


def message_id(row_id: str) -> str:
    """Return the id of a ChatKit row as a message: its own if OpenAI would take it for one."""
    return row_id if row_id.startswith("msg_") else derived_id("msgc", row_id)


def row_behind(item_id: str) -> str | None:
    """Return the id of the row that an id is derived from; None if it is not derived."""
    derived = _DERIVED.fullmatch(item_id)
    return derived["row"] if derived else None


def rows_named_by(item_id: str) -> list[str]:
    """Return the ids of the rows that can have the item."""
    behind = row_behind(item_id)
    return [item_id] if behind is None else [item_id, behind]
