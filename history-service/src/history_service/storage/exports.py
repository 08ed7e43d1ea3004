"""All of a user's rows as JSON texts, in bounded batches, each of which says where the next one begins."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asyncpg import Record
from pydantic_core import to_json
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Integer,
    Select,
    String,
    Text,
    bindparam,
    cast,
    func,
    select,
    tuple_,
)

from contracts.conversations import Conversation
from contracts.export import ExportedItem
from history_service.storage.attachments import COLUMNS as ATTACHMENT_COLUMNS
from history_service.storage.attachments import attachment_of_row
from history_service.storage.conversations import COLUMNS as CONVERSATION_COLUMNS
from history_service.storage.conversations import conversation_of
from history_service.storage.feedback import COLUMNS as FEEDBACK_COLUMNS
from history_service.storage.feedback import IS_OF_ITEM
from history_service.storage.runs import RUN_COLUMNS
from history_service.tables import attachments, conversations, feedback, messages, runs
from service_kit.database import Transaction
from service_kit.statements import Statement

BATCH_ROWS = 200
BATCH_BYTES = 4 * 1024 * 1024
"""A batch goes on until it has so many bytes of payload; a single item may have more."""

Seen = Mapping[str, Any]
"""Where a batch ended, as parameters of the next one's statement."""

_USER = bindparam("user_id", type_=String)
_CONVERSATION = bindparam("conversation_id", type_=String)
_ROWS = bindparam("rows", type_=Integer)
_PLACE = bindparam("place", type_=BigInteger)


def _after(*columns: ColumnElement[Any]) -> ColumnElement[bool]:
    return tuple_(*columns) > tuple_(
        bindparam("seen_at", type_=DateTime(timezone=True)), bindparam("seen_id", type_=String)
    )


def _items() -> Select[Any]:
    columns = [messages.c[name] for name in ExportedItem.model_fields if name != "payload"]
    first = (
        select(*columns, cast(messages.c.payload, Text).label("payload"))
        .where(messages.c.conversation_id == _CONVERSATION, messages.c.user_id == _USER, messages.c.position > _PLACE)
        .order_by(messages.c.position)
        .limit(_ROWS)
        .subquery("first")
    )
    size = func.octet_length(first.c.payload)
    before = func.sum(size).over(order_by=first.c.position) - size
    sized = select(first, before.label("bytes_before"), func.count().over().label("read")).subquery("sized")
    return select(sized).where(sized.c.bytes_before < bindparam("bytes")).order_by(sized.c.position)


_CONVERSATIONS = Statement(
    select(*CONVERSATION_COLUMNS)
    .where(conversations.c.user_id == _USER, conversations.c.id > bindparam("place", type_=String))
    .order_by(conversations.c.id)
    .limit(_ROWS)
)
_ITEMS = Statement(_items())
_RUNS = Statement(
    select(*RUN_COLUMNS, runs.c.number)
    .where(runs.c.conversation_id == _CONVERSATION, runs.c.user_id == _USER, runs.c.number > _PLACE)
    .order_by(runs.c.number)
    .limit(_ROWS)
)
_FEEDBACK = Statement(
    select(*FEEDBACK_COLUMNS, messages.c.position)
    .join(messages, IS_OF_ITEM)
    .where(feedback.c.conversation_id == _CONVERSATION, feedback.c.user_id == _USER, messages.c.position > _PLACE)
    .order_by(messages.c.position)
    .limit(_ROWS)
)
_ATTACHMENTS, _UNATTACHED = (
    Statement(
        select(*ATTACHMENT_COLUMNS)
        .where(attachments.c.user_id == _USER, place, _after(attachments.c.created_at, attachments.c.id))
        .order_by(attachments.c.created_at, attachments.c.id)
        .limit(_ROWS)
    )
    for place in (attachments.c.conversation_id == _CONVERSATION, attachments.c.conversation_id.is_(None))
)
_TIME = Statement(select(func.clock_timestamp()))
_OLDEST: Seen = {"seen_at": datetime.min.replace(tzinfo=UTC), "seen_id": ""}


@dataclass(frozen=True)
class Batch:
    """JSON texts in order, and where to go on; None if that was all."""

    texts: list[str]
    seen: Seen | None


class ExportStore:
    """The user's rows, within one transaction that acts as the user."""

    def __init__(self, transaction: Transaction, user_id: str) -> None:
        self._transaction = transaction
        self._user_id = user_id

    async def time(self) -> datetime:
        """Return the database's time."""
        return await self._transaction.value(_TIME)

    async def conversations(self, after: str, rows: int = BATCH_ROWS) -> list[Conversation]:
        """Return the conversations after an id, in the order of ids, which never change."""
        found = await self._transaction.rows(_CONVERSATIONS, user_id=self._user_id, place=after, rows=rows)
        return [conversation_of(row) for row in found]

    async def items(self, conversation_id: str, seen: Seen | None) -> Batch:
        """Return items by position, payloads exactly as they are stored."""
        place = seen or {"place": 0}
        rows = await self._rows(_ITEMS, conversation_id, place, bytes=BATCH_BYTES)
        texts = [_item(row) for row in rows]
        complete = not rows or len(rows) == rows[-1]["read"] < BATCH_ROWS
        return Batch(texts, None if complete else {"place": rows[-1]["position"]})

    async def runs(self, conversation_id: str, seen: Seen | None) -> Batch:
        """Return runs in the order of their creation."""
        rows = await self._rows(_RUNS, conversation_id, seen or {"place": 0})
        return _batch(rows, "number")

    async def feedback(self, conversation_id: str, seen: Seen | None) -> Batch:
        """Return feedback by the items' positions."""
        rows = await self._rows(_FEEDBACK, conversation_id, seen or {"place": 0})
        return _batch(rows, "position")

    async def attachments(self, conversation_id: str | None, seen: Seen | None) -> Batch:
        """Return what is known of attachments, by age; with None, of those that are in no conversation."""
        statement = _UNATTACHED if conversation_id is None else _ATTACHMENTS
        rows = await self._rows(statement, conversation_id, seen or _OLDEST)
        found = [attachment_of_row(row) for row in rows]
        last = {"seen_at": found[-1].created_at, "seen_id": found[-1].id} if len(found) == BATCH_ROWS else None
        return Batch([attachment.model_dump_json() for attachment in found], last)

    async def _rows(
        self, statement: Statement, conversation_id: str | None, seen: Seen, **values: object
    ) -> list[Record]:
        place = {"user_id": self._user_id, "conversation_id": conversation_id, "rows": BATCH_ROWS}
        return await self._transaction.rows(statement, **place, **seen, **values)


ReadBatch = Callable[[ExportStore, str, Seen | None], Awaitable[Batch]]


def _item(row: Record) -> str:
    fields = {name: row[name] for name in ExportedItem.model_fields if name != "payload"}
    # One record is one line, and a line feed in JSON can only stand between its tokens.
    payload = row["payload"].replace("\n", " ").replace("\r", " ")
    return f'{to_json(fields).decode()[:-1]},"payload":{payload}}}'


def _batch(rows: list[Record], place: str) -> Batch:
    texts = [to_json({name: value for name, value in row.items() if name != place}).decode() for row in rows]
    return Batch(texts, {"place": rows[-1][place]} if len(rows) == BATCH_ROWS else None)
