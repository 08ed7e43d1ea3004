"""The statements on the message log, each compiled once."""

from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from sqlalchemy import (
    CTE,
    BigInteger,
    ClauseElement,
    ColumnElement,
    Integer,
    String,
    Text,
    bindparam,
    cast,
    delete,
    exists,
    false,
    func,
    literal_column,
    null,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from contracts.conversations import Message
from contracts.pages import Order
from contracts.runs import ContextMessage
from history_service.storage.conversations import COLUMNS as CONVERSATION_COLUMNS
from history_service.storage.runs import RUN_COLUMNS
from history_service.tables import conversations, messages, runs
from service_kit.statements import Statement

_CONTEXT_COLUMNS = (*(messages.c[name] for name in ContextMessage.model_fields), messages.c.turn, messages.c.position)

IN_CONVERSATION = (
    messages.c.conversation_id == bindparam("conversation_id"),
    messages.c.user_id == bindparam("user_id"),
)
IS_OWN = (*IN_CONVERSATION, messages.c.id == bindparam("id"))

DERIVED = ("role", "kind", "content", "tool_calls", "payload", "hidden", "created_at", "status")
"""Columns that an item gives."""

_GIVEN: dict[str, ColumnElement[Any]] = {name: bindparam(name, type_=messages.c[name].type) for name in DERIVED}
_NO_OPENAI_ITEM: dict[str, Any] = {"openai_item": null()}
"""What is put in ChatKit's shape replaces an item that came in OpenAI's."""

_RUN = bindparam("run_id", type_=messages.c.run_id.type)
_TURN = bindparam("turn", type_=BigInteger)

GET = Statement(select(messages.c.payload).where(*IS_OWN))
GET_TEXT = Statement(select(cast(messages.c.payload, Text)).where(*IS_OWN))
GET_CONTENT = Statement(select(messages.c.payload, messages.c.tool_calls, messages.c.status).where(*IS_OWN))
DELETE = Statement(delete(messages).where(*IS_OWN))
DELETE_AFTER = Statement(
    delete(messages).where(*IN_CONVERSATION, messages.c.position > bindparam("position", type_=BigInteger))
)
GET_POSITION = Statement(select(messages.c.position).where(*IS_OWN))
OWNS_CONVERSATION = Statement(
    select(true()).where(
        conversations.c.id == bindparam("conversation_id"), conversations.c.user_id == bindparam("user_id")
    )
)
TAKE_BACK_POSITION = Statement(
    update(conversations)
    .where(conversations.c.id == bindparam("conversation_id"), conversations.c.user_id == bindparam("user_id"))
    .values(last_position=conversations.c.last_position - 1)
)
"""Undoes the count of an append that found its id taken; the row is still locked, so nobody has seen it."""


@dataclass(frozen=True)
class _Put:
    """What puts an item: each part answers with the position that the item has, or with nothing.

    The counter on the conversation's row hands out positions: its lock lets one writer in at a time.
    """

    replaced: CTE
    counted: CTE
    inserted: CTE

    def columns(self) -> tuple[ColumnElement[Any], ...]:
        """Return `replaced`, `counted` and `inserted`."""
        return (
            select(self.replaced.c.position).scalar_subquery().label("replaced"),
            select(self.counted.c.last_position).scalar_subquery().label("counted"),
            select(self.inserted.c.position).scalar_subquery().label("inserted"),
        )


def _put(*, replaces: bool) -> _Put:
    """Append an item at the next position or, with `replaces`, put it in the place of the one with its id.

    What appends it moves the conversation to the newest place, and gives it the title if it has none.
    """
    mine = _RUN.is_(None) | (messages.c.run_id == _RUN)
    replaced = (
        update(messages)
        .where(*IS_OWN, mine)
        .values(_GIVEN | _NO_OPENAI_ITEM)
        .returning(messages.c.position)
        .cte("replaced")
        if replaces
        else select(literal_column("0", BigInteger).label("position")).where(false()).cte("replaced")
    )
    counted = (
        update(conversations)
        .where(
            conversations.c.id == bindparam("conversation_id"),
            conversations.c.user_id == bindparam("user_id"),
            ~exists(select(replaced.c.position)),
        )
        .values(
            last_position=conversations.c.last_position + literal_column("1"),
            updated_at=func.clock_timestamp(),
            title=func.coalesce(conversations.c.title, bindparam("title", type_=conversations.c.title.type)),
        )
        .returning(conversations.c.last_position)
        .cte("counted")
    )
    values = _GIVEN | {
        "conversation_id": bindparam("conversation_id", type_=messages.c.conversation_id.type),
        "id": bindparam("id", type_=messages.c.id.type),
        "user_id": bindparam("user_id", type_=messages.c.user_id.type),
        "run_id": _RUN,
        "position": counted.c.last_position,
        "turn": func.coalesce(_TURN, counted.c.last_position),
    }
    inserted = (
        insert(messages)
        .from_select(list(values), select(*values.values()))
        .on_conflict_do_nothing(index_elements=["conversation_id", "id"])
        .returning(messages.c.position)
        .cte("inserted")
    )
    return _Put(replaced, counted, inserted)


def _append_with_run() -> ClauseElement:
    """Append an item and queue the run that answers it; the answer has the run's columns too, null without one."""
    put = _put(replaces=False)
    owner = (bindparam("conversation_id", type_=String), bindparam("user_id", type_=String))
    queued = (
        insert(runs)
        .from_select(
            ["id", "conversation_id", "user_id", "message_position"],
            select(bindparam("new_run_id", type_=String), *owner, put.inserted.c.position),
        )
        .on_conflict_do_nothing(index_elements=["id"])
        .returning(*RUN_COLUMNS)
        .cte("queued")
    )
    once = select(literal_column("1", Integer).label("once")).subquery("once")
    return select(*put.columns(), *queued.c).select_from(once.outerjoin(queued, true()))


APPEND = Statement(select(*_put(replaces=False).columns()))
APPEND_WITH_RUN = Statement(_append_with_run())
PUT = Statement(select(*_put(replaces=True).columns()))


Cursor = Literal["none", "id", "position"]
"""What is known of the item last seen."""


def _page(columns: tuple[Any, ...], order: Order, cursor: Cursor, *, hidden: bool) -> ClauseElement:
    """Return the statement of a page by position. An id is resolved within; whether it is one is told later."""
    position = messages.c.position
    statement = select(*columns).where(*IN_CONVERSATION)
    if not hidden:
        statement = statement.where(~messages.c.hidden)
    if cursor != "none":
        seen = _position_of_cursor() if cursor == "id" else bindparam("after", type_=BigInteger)
        statement = statement.where(position > seen if order == "asc" else position < seen)
    return statement.order_by(position.asc() if order == "asc" else position.desc()).limit(bindparam("rows"))


def _position_of_cursor() -> Any:
    earlier = messages.alias("earlier")
    return (
        select(earlier.c.position)
        .where(
            earlier.c.conversation_id == bindparam("conversation_id"),
            earlier.c.user_id == bindparam("user_id"),
            earlier.c.id == bindparam("after"),
        )
        .scalar_subquery()
    )


_ORDERS: tuple[Order, Order] = ("asc", "desc")
_CURSORS: tuple[Cursor, Cursor, Cursor] = ("none", "id", "position")
_ITEM = (messages.c.id, messages.c.position, cast(messages.c.payload, Text).label("payload"))
_MESSAGE = tuple(messages.c[name] for name in Message.model_fields)

ITEM_PAGES = {
    (order, cursor, hidden): Statement(_page(_ITEM, order, cursor, hidden=hidden))
    for order, cursor, hidden in product(_ORDERS, _CURSORS, (False, True))
}
"""By order, cursor, and whether hidden items are wanted."""

MESSAGE_PAGES = {
    (order, cursor): Statement(_page(_MESSAGE, order, cursor, hidden=False))
    for order, cursor in product(_ORDERS, _CURSORS)
}
"""By order and cursor."""


def _context() -> ClauseElement:
    """Return the statement of a conversation with all rows that `domain.context_window` may want, as one JSON array.

    These are the last ones before the run, and the run's.
    """
    before = (
        select(*_CONTEXT_COLUMNS)
        .where(
            *IN_CONVERSATION,
            messages.c.turn <= _TURN,
            messages.c.run_id.is_distinct_from(_RUN),
            ~messages.c.hidden,
        )
        .order_by(messages.c.turn.desc(), messages.c.position.desc())
        .limit(bindparam("rows"))
        .subquery("before")
    )
    own = select(*_CONTEXT_COLUMNS).where(*IN_CONVERSATION, messages.c.turn == _TURN, messages.c.run_id == _RUN)
    said = union_all(select(before), own).subquery("said")
    context = select(func.json_agg(said.table_valued())).scalar_subquery().label("context")
    return select(*CONVERSATION_COLUMNS, context).where(
        conversations.c.id == bindparam("conversation_id"), conversations.c.user_id == bindparam("user_id")
    )


CONTEXT = Statement(_context())
