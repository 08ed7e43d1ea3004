"""Rules of conversations, items and runs; pure functions without I/O."""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import chain
from typing import cast, get_args

from contracts.conversations import ItemPut, JsonObject, MessageKind, MessageStatus, Role, ToolCall
from contracts.principal import MAX_TOKEN_SECONDS
from contracts.runs import ContextMessage, RunError
from history_service.errors import InvalidCursorError, InvalidItemError
from history_service.item_content import content_of, tool_calls_of
from service_kit.problems import InvalidRequestError

ID_PATTERN = r"^[A-Za-z0-9_.:\-]{1,128}$"
"""Ids of conversations, items and runs: ChatKit's, OpenAI's and ours."""

MAX_CURSOR_LENGTH = 160

MAX_JSON_DEPTH = 64

KINDS: frozenset[str] = frozenset(get_args(MessageKind))
HIDDEN_KINDS: frozenset[str] = frozenset({"hidden_context_item", "sdk_hidden_context"})
"""Never sent to a browser; ChatKit's converter gives them to the model as the user's side."""

_ID = re.compile(ID_PATTERN)
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Item:
    """A validated ChatKit thread item with what is derived from it."""

    id: str
    kind: MessageKind
    role: Role
    content: str
    tool_calls: list[ToolCall]
    payload: JsonObject
    created_at: datetime
    status: MessageStatus = "completed"

    @property
    def hidden(self) -> bool:
        """Tell whether a browser never gets to see it."""
        return self.kind in HIDDEN_KINDS


@dataclass(frozen=True)
class RunLimits:
    """How many runs may wait: `queued` of everybody, and how many of one user may be unfinished."""

    queued: int
    unfinished_per_user: int


@dataclass(frozen=True)
class RunTurn:
    """The run that an item belongs to, and the position of the message which the run answers."""

    run_id: str
    message_position: int


def is_valid_id(text: str) -> bool:
    """Tell whether the text can be the id of a conversation, an item or a run."""
    return _ID.fullmatch(text) is not None


def item_of(put: ItemPut, conversation_id: str, item_id: str | None = None) -> Item:
    """Validate an item for a conversation and derive its projections. Raises InvalidItemError.

    `item_id` is the id it was sent under, if it was sent under one.
    """
    payload = put.payload
    identifier, kind = payload.get("id"), payload.get("type")
    if not isinstance(identifier, str) or not is_valid_id(identifier) or item_id not in (None, identifier):
        raise InvalidItemError("The item's id is missing, malformed or not the one it was sent under.")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InvalidItemError("The item's type is not one of ChatKit's thread items.")
    if payload.get("thread_id") != conversation_id:
        raise InvalidItemError("The item's thread_id is not this conversation.")
    kind = cast(MessageKind, kind)
    tool_calls = tool_calls_of(kind, payload, put.tool_calls)
    return Item(
        id=identifier,
        kind=kind,
        role=role_of(kind),
        content=content_of(kind, payload, tool_calls),
        tool_calls=tool_calls,
        payload=payload,
        created_at=_time_of(payload.get("created_at")),
        status=put.status,
    )


def is_same_item(item: Item, payload: JsonObject, tool_calls: list[JsonObject], status: MessageStatus) -> bool:
    """Tell whether what is stored under the item's id is this very item.

    The order of keys does not matter; `1`, `1.0` and `true` differ, which Python's `==` does not see. The tool calls
    come out of `jsonb`, which writes numbers anew: there they are compared by value.
    """
    calls = [call.model_dump() for call in item.tool_calls]
    is_same_payload = _canonical(payload) == _canonical(item.payload)
    return is_same_payload and _by_value(tool_calls) == _by_value(calls) and status == item.status


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _by_value(value: object) -> str:
    return _canonical(json.loads(json.dumps(value), parse_int=_number, parse_float=_number))


def _number(text: str) -> float:
    return float(text) + 0.0  # jsonb knows no negative zero


def role_of(kind: MessageKind) -> Role:
    """Return whose side of the conversation an item is on."""
    return "user" if kind == "user_message" or kind in HIDDEN_KINDS else "assistant"


def _time_of(value: object) -> datetime:
    if not isinstance(value, str):
        raise InvalidItemError("The item's created_at is not a time.")
    try:
        return as_utc(datetime.fromisoformat(value))
    except ValueError as error:
        raise InvalidItemError("The item's created_at is not an ISO 8601 time.") from error


def as_utc(time: datetime) -> datetime:
    """Return the time in UTC; one without a zone, as ChatKit makes them, is taken to be UTC.

    Raises InvalidRequestError if UTC has no such year.
    """
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError as error:
        raise InvalidRequestError("A time is out of range.") from error


def unstorable(value: object) -> str | None:
    """Return why parsed JSON cannot be kept in Postgres, or None if it can.

    Postgres text has no NUL and no lone surrogates, its JSON no NaN and no infinity.
    """
    level: list[object] = [value]
    for _ in range(MAX_JSON_DEPTH):
        text = "".join(each for each in level if isinstance(each, str))
        if "\x00" in text or _SURROGATE.search(text):
            return "A text contains a NUL character or a lone surrogate."
        if not all(math.isfinite(each) for each in level if isinstance(each, float)):
            return "A number is not finite."
        level = list(_parts_of(level))
        if not level:
            return None
    return f"The JSON is nested deeper than {MAX_JSON_DEPTH} levels."


def _parts_of(level: Iterable[object]) -> Iterable[object]:
    """Return what the values hold that hold anything: names and members of objects, and entries of lists."""
    objects = [cast(dict[str, object], each) for each in level if each and isinstance(each, dict)]
    lists = [cast(list[object], each) for each in level if each and isinstance(each, list)]
    members = chain.from_iterable(each.values() for each in objects)
    return chain(chain.from_iterable(objects), members, chain.from_iterable(lists))


@dataclass(frozen=True)
class ConversationCursor:
    """A point in the list of conversations: the row last seen, as it was when it was seen."""

    conversation_id: str
    updated_at: datetime | None

    def __str__(self) -> str:
        if self.updated_at is None:
            return self.conversation_id
        return f"{self.conversation_id}@{(self.updated_at - _EPOCH) // timedelta(microseconds=1)}"


_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class ItemCursor:
    """A point in a conversation's log: the item last seen and, if known, its position, which outlives it."""

    item_id: str
    position: int | None = None

    def text(self, conversation_id: str) -> str:
        """Return the cursor as it is given out: it belongs to that conversation."""
        return f"{self.item_id}@{self.position}.{_mark_of(conversation_id)}"


def item_cursor(text: str, conversation_id: str) -> ItemCursor:
    """Parse `<id>@<position>.<mark>`, which stays right when the item is deleted, or a plain id.

    Raises InvalidCursorError, for a cursor of another conversation too.
    """
    identifier, separator, place = text.partition("@")
    if not is_valid_id(identifier):
        raise InvalidCursorError()
    if not separator:
        return ItemCursor(identifier)
    position, _, mark = place.partition(".")
    if not (position.isascii() and position.isdigit() and len(position) <= 18) or mark != _mark_of(conversation_id):
        raise InvalidCursorError()
    return ItemCursor(identifier, int(position))


def _mark_of(conversation_id: str) -> str:
    return sha256(conversation_id.encode()).hexdigest()[:8]


def conversation_cursor(text: str) -> ConversationCursor:
    """Parse `<id>@<microseconds>`, which stays right when the row changes, or a plain id. Raises InvalidCursorError."""
    identifier, separator, micros = text.partition("@")
    if not is_valid_id(identifier):
        raise InvalidCursorError()
    if not separator:
        return ConversationCursor(identifier, None)
    if not (micros.isascii() and micros.isdigit() and len(micros) <= 17):
        raise InvalidCursorError()
    return ConversationCursor(identifier, _EPOCH + timedelta(microseconds=int(micros)))


@dataclass(frozen=True)
class ContextRow:
    """A message as a candidate for the model's context, with its place."""

    message: ContextMessage
    turn: int
    position: int


def context_window(rows: Iterable[ContextRow], run: RunTurn, limit: int) -> list[ContextMessage]:
    """Return what the model gets to see in a run, oldest first.

    That is the last `limit` messages up to and including the one that the run answers, then everything the run
    itself has stored, so that a retry goes on where the last attempt ended. Rows are read turn by turn: an answer
    comes right after its question, even if another question was asked (in a second tab) before it was finished.
    Questions asked after the run's own are left out.
    """
    ordered = sorted(rows, key=lambda row: (row.turn, row.position))
    before = [row.message for row in ordered if row.turn <= run.message_position and row.message.run_id != run.run_id]
    own = [row.message for row in ordered if row.message.run_id == run.run_id]
    return before[-limit:] + own


def run_token_seconds(lease: timedelta) -> int:
    """Return how long a run token lives: as long as the lease, within what receivers accept."""
    return max(1, min(MAX_TOKEN_SECONDS, math.ceil(lease.total_seconds())))


def max_attempts_error(attempts: int) -> RunError:
    """Return the error of a run whose every worker was lost."""
    return RunError(
        code="max_attempts",
        message=f"The answer was interrupted {attempts} times. Please try again.",
        allow_retry=True,
    )


def expired_error() -> RunError:
    """Return the error of a run that no worker has executed for too long."""
    return RunError(code="expired", message="Nobody could answer in time. Please try again.", allow_retry=True)
