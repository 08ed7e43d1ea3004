"""The message log as OpenAI's items need it: rows with all that their items are made of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from asyncpg import Record
from sqlalchemy import ARRAY, BigInteger, ColumnElement, String, any_, bindparam, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB

from contracts.conversations import JsonObject, ToolCall, ToolCallStatus
from contracts.pages import Order
from history_service.domain import Item, RunTurn
from history_service.openai_projection.ids import rows_named_by
from history_service.openai_projection.reading import LogRow
from history_service.storage.message_statements import DERIVED, IN_CONVERSATION, IS_OWN
from history_service.tables import conversations, messages
from service_kit.database import Transaction
from service_kit.statements import Statement

BEFORE_ALL: Mapping[Order, int] = {"asc": 0, "desc": 2**63 - 1}
"""The position from which a page in that order begins."""

CALL_WINDOW = 1000
"""How many rows back the call of a result is looked for: no index can find it under row-level security."""

_COLUMNS = (
    messages.c.id,
    messages.c.position,
    messages.c.kind,
    messages.c.content,
    messages.c.tool_calls,
    messages.c.payload,
    messages.c.status,
    messages.c.openai_item,
)
_BOUNDARY = bindparam("boundary", type_=BigInteger)
_POSITION = bindparam("position", type_=BigInteger)

_SAYS_SOMETHING = or_(
    messages.c.openai_item.is_not(None),
    messages.c.content != "",
    messages.c.kind == "user_message",
    func.jsonb_array_length(messages.c.tool_calls) > 0,
)
"""Spares reading rows that give no item; what is read may still give none."""


def _page(order: Order) -> Any:
    position = messages.c.position
    beyond, by = (position > _BOUNDARY, position.asc()) if order == "asc" else (position < _BOUNDARY, position.desc())
    statement = select(*_COLUMNS).where(*IN_CONVERSATION, beyond, _SAYS_SOMETHING)
    return statement.order_by(by).limit(bindparam("rows"))


_PAGES: Mapping[Order, Statement] = {"asc": Statement(_page("asc")), "desc": Statement(_page("desc"))}

_named = select(*_COLUMNS).where(*IN_CONVERSATION, messages.c.id == any_(bindparam("ids", type_=ARRAY(String))))
_NAMED = Statement(_named)
_NAMED_LOCKED = Statement(_named.order_by(messages.c.position).with_for_update())

_CALL = Statement(
    select(*_COLUMNS)
    .where(
        *IN_CONVERSATION,
        messages.c.position < _BOUNDARY,
        messages.c.position >= bindparam("oldest", type_=BigInteger),
        messages.c.kind == "widget",
        messages.c.openai_item.is_not(None),
        messages.c.tool_calls.contains(bindparam("call", type_=JSONB)),
    )
    .order_by(messages.c.position.desc())
    .limit(1)
)
_OPEN_CALLS = Statement(
    select(*_COLUMNS)
    .where(
        *IN_CONVERSATION,
        messages.c.turn == bindparam("turn", type_=BigInteger),
        messages.c.run_id == bindparam("run_id"),
        messages.c.kind != "client_tool_call",
        messages.c.tool_calls.contains(bindparam("call", type_=JSONB)),
    )
    .order_by(messages.c.position)
    .with_for_update()
)
_COUNT = Statement(
    update(conversations)
    .where(conversations.c.id == bindparam("conversation_id"), conversations.c.user_id == bindparam("user_id"))
    .values(
        last_position=conversations.c.last_position + bindparam("count", type_=BigInteger),
        updated_at=func.clock_timestamp(),
    )
)


def _binds(*names: str) -> dict[str, ColumnElement[Any]]:
    return {name: bindparam(name, type_=messages.c[name].type) for name in names}


_PLACE: dict[str, ColumnElement[Any]] = {"position": _POSITION, "turn": _POSITION}
_INSERT = Statement(
    insert(messages).values(_binds("conversation_id", "id", "user_id", *DERIVED, "openai_item") | _PLACE)
)
_REWRITE = Statement(update(messages).where(*IS_OWN).values(_binds("content", "tool_calls", "payload")))


@dataclass(frozen=True)
class NewRow:
    """A row to append: the ChatKit item, and the OpenAI item that it shows."""

    item: Item
    openai_item: JsonObject


class OpenAIItemStore:
    """The user's log, within one transaction that acts as the user."""

    def __init__(self, transaction: Transaction, user_id: str) -> None:
        self._transaction = transaction
        self._user_id = user_id

    async def page(self, conversation_id: str, boundary: int, order: Order, count: int) -> list[LogRow]:
        """Return up to `count` rows beyond a position, without those that say nothing."""
        rows = await self._transaction.rows(_PAGES[order], **self._in(conversation_id), boundary=boundary, rows=count)
        return [_log_row(row) for row in rows]

    async def named(self, conversation_id: str, item_ids: Iterable[str], *, lock: bool = False) -> list[LogRow]:
        """Return the rows that can have these items; with `lock`, nobody else changes them meanwhile."""
        ids = {row_id for item_id in item_ids for row_id in rows_named_by(item_id)}
        if not ids:
            return []
        statement = _NAMED_LOCKED if lock else _NAMED
        rows = await self._transaction.rows(statement, **self._in(conversation_id), ids=sorted(ids))
        return [_log_row(row) for row in rows]

    async def find_call(self, conversation_id: str, call_id: str, status: ToolCallStatus, before: int) -> LogRow | None:
        """Return the last `function_call` with that call id and status, of the `CALL_WINDOW` rows before a position."""
        call = [{"id": call_id, "status": status}]
        row = await self._transaction.row(
            _CALL, **self._in(conversation_id), boundary=before, oldest=before - CALL_WINDOW, call=call
        )
        return None if row is None else _log_row(row)

    async def open_calls(self, conversation_id: str, run: RunTurn) -> list[LogRow]:
        """Return, locked, the rows of a run with a tool call in progress; not those that the browser is to execute."""
        place = {"turn": run.message_position, "run_id": run.run_id}
        rows = await self._transaction.rows(
            _OPEN_CALLS, **self._in(conversation_id), **place, call=[{"status": "in_progress"}]
        )
        return [_log_row(row) for row in rows]

    async def append(self, conversation_id: str, last_position: int, rows: list[NewRow]) -> None:
        """Append rows after the last position of a conversation that this transaction has locked."""
        await self._transaction.execute(_COUNT, **self._in(conversation_id), count=len(rows))
        places = enumerate(rows, last_position + 1)
        await self._transaction.execute_many(
            _INSERT, [self._values(conversation_id, row.item, row.openai_item) | {"position": at} for at, row in places]
        )

    async def rewrite(self, conversation_id: str, item: Item) -> None:
        """Let a row show something else; the OpenAI item that it came as stays."""
        await self._transaction.execute(_REWRITE, **self._values(conversation_id, item, None))

    def _in(self, conversation_id: str) -> dict[str, Any]:
        return {"conversation_id": conversation_id, "user_id": self._user_id}

    def _values(self, conversation_id: str, item: Item, openai_item: JsonObject | None) -> dict[str, Any]:
        return self._in(conversation_id) | {
            "id": item.id,
            "role": item.role,
            "kind": item.kind,
            "content": item.content,
            "tool_calls": [call.model_dump() for call in item.tool_calls],
            "payload": item.payload,
            "hidden": item.hidden,
            "created_at": item.created_at,
            "status": item.status,
            "openai_item": openai_item,
        }


def _log_row(row: Record) -> LogRow:
    values: dict[str, Any] = dict(row)
    values["tool_calls"] = [ToolCall.model_validate(call) for call in row["tool_calls"]]
    return LogRow(**values)
