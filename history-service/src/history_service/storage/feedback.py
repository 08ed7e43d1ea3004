"""What a user thinks of items."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, cast

from sqlalchemy import ARRAY, Select, String, bindparam, func, select, true
from sqlalchemy.dialects.postgresql import insert

from contracts.feedback import Feedback, FeedbackKind
from contracts.pages import Order, Page
from history_service.errors import InvalidCursorError, ItemNotFoundError
from history_service.storage.roles import absent_conversation
from history_service.tables import conversations, feedback, messages
from service_kit.database import Transaction
from service_kit.statements import Statement

COLUMNS = tuple(feedback.c[name] for name in Feedback.model_fields)
IS_OF_ITEM = (messages.c.conversation_id == feedback.c.conversation_id) & (messages.c.id == feedback.c.item_id)

_IN_CONVERSATION = (
    messages.c.conversation_id == bindparam("conversation_id"),
    messages.c.user_id == bindparam("user_id"),
)
_SEEN = select(messages.c.position).where(*_IN_CONVERSATION, messages.c.id == bindparam("after"))

_OWNS_CONVERSATION = Statement(
    select(true()).where(
        conversations.c.id == bindparam("conversation_id"), conversations.c.user_id == bindparam("user_id")
    )
)
_KEEP_CONVERSATION = Statement(
    select(true())
    .where(conversations.c.id == bindparam("conversation_id"), conversations.c.user_id == bindparam("user_id"))
    .with_for_update(read=True, key_share=True)
)
_FIND_SEEN = Statement(_SEEN)


def _put() -> Any:
    """Set the opinion of those items that exist, and keep them from being deleted meanwhile."""
    items = (
        select(messages.c.conversation_id, messages.c.id, messages.c.user_id)
        .where(*_IN_CONVERSATION, messages.c.id == func.any(bindparam("ids", type_=ARRAY(String))), ~messages.c.hidden)
        .order_by(messages.c.id)
        .with_for_update(read=True, key_share=True)
        .cte("items")
    )
    kind = bindparam("kind", type_=feedback.c.kind.type)
    chosen = select(items.c.conversation_id, items.c.id, items.c.user_id, kind)
    statement = insert(feedback).from_select(["conversation_id", "item_id", "user_id", "kind"], chosen)
    return statement.on_conflict_do_update(
        index_elements=["conversation_id", "item_id"],
        set_={"kind": statement.excluded.kind, "created_at": func.clock_timestamp()},
    )


def _list(order: Order, *, after: bool) -> Select[Any]:
    position = messages.c.position
    statement = select(*COLUMNS).join(messages, IS_OF_ITEM).where(*_IN_CONVERSATION)
    if after:
        seen = _SEEN.scalar_subquery()
        statement = statement.where(position > seen if order == "asc" else position < seen)
    return statement.order_by(position.asc() if order == "asc" else position.desc()).limit(bindparam("rows"))


_PUT = Statement(_put())
_PAGES: Mapping[tuple[Order, bool], Statement] = {
    (order, after): Statement(_list(order, after=after))
    for order, after in product(cast(tuple[Order, Order], ("asc", "desc")), (False, True))
}


class FeedbackStore:
    """The user's opinions, within one transaction that acts as the user."""

    def __init__(self, transaction: Transaction, user_id: str) -> None:
        self._transaction = transaction
        self._user_id = user_id

    async def put(self, conversation_id: str, item_ids: Sequence[str], kind: FeedbackKind) -> None:
        """Store one opinion of all these items. Raises the conversation's absence, and ItemNotFoundError.

        Whoever calls lets the error end the transaction: then nothing is stored.
        """
        wanted = sorted(set(item_ids))
        values = {"conversation_id": conversation_id, "user_id": self._user_id}
        # Whoever deletes the conversation locks it before its items: so does this, lest both wait in a circle.
        if not await self._transaction.value(_KEEP_CONVERSATION, **values):
            raise await absent_conversation(self._transaction, conversation_id)
        if await self._transaction.execute(_PUT, **values, ids=wanted, kind=kind) < len(wanted):
            raise ItemNotFoundError()

    async def list(self, conversation_id: str, limit: int, after: str | None, order: Order) -> Page[Feedback]:
        """Return a page by the items' positions; `after` is an item's id.

        Raises the conversation's absence, InvalidCursorError.
        """
        values = {"conversation_id": conversation_id, "user_id": self._user_id}
        statement = _PAGES[order, after is not None]
        rows = await self._transaction.rows(statement, **values, rows=limit + 1, after=after)
        if not rows:
            await self._require_conversation(conversation_id)
            if after is not None and await self._transaction.value(_FIND_SEEN, **values, after=after) is None:
                raise InvalidCursorError()
        data = [Feedback.model_validate(dict(row)) for row in rows[:limit]]
        return Page(data=data, has_more=len(rows) > limit, after=data[-1].item_id if data else None)

    async def _require_conversation(self, conversation_id: str) -> None:
        values = {"conversation_id": conversation_id, "user_id": self._user_id}
        if not await self._transaction.value(_OWNS_CONVERSATION, **values):
            raise await absent_conversation(self._transaction, conversation_id)
