"""The message log of a user's conversations."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, delete, func, literal, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.conversations import JsonObject, Message
from contracts.pages import Order, Page
from contracts.runs import ContextMessage
from history_service.domain import ContextRow, Item, RunTurn, context_window
from history_service.errors import InvalidCursorError, ItemConflictError, ItemNotFoundError
from history_service.storage.roles import absent_conversation
from history_service.tables import conversations, messages

_MESSAGE_COLUMNS = (
    messages.c.id,
    messages.c.conversation_id,
    messages.c.role,
    messages.c.kind,
    messages.c.content,
    messages.c.tool_calls,
    messages.c.run_id,
    messages.c.position,
    messages.c.created_at,
)
_CONTEXT_COLUMNS = tuple(messages.c[name] for name in ContextMessage.model_fields)


class MessageStore:
    """The user's messages, within one transaction that acts as the user."""

    def __init__(self, connection: AsyncConnection, user_id: str) -> None:
        self._connection = connection
        self._user_id = user_id

    async def put(self, conversation_id: str, item: Item, run: RunTurn | None = None) -> None:
        """Append an item at the next position, or replace the one with its id, which keeps its position.

        For a run, only the run's own items are replaced. Raises ItemConflictError and the conversation's absence.
        """
        if await self._replace(conversation_id, item, run):
            return
        if not await self.append(conversation_id, item, run) and not await self._replace(conversation_id, item, run):
            raise ItemConflictError()

    async def append(self, conversation_id: str, item: Item, run: RunTurn | None = None) -> int | None:
        """Append an item and return its position; None if its id is taken. Raises the conversation's absence.

        The counter on the conversation's row hands out positions: its lock lets one writer in at a time.
        """
        counted = (
            update(conversations)
            .where(conversations.c.id == conversation_id, conversations.c.user_id == self._user_id)
            .values(last_position=conversations.c.last_position + 1, updated_at=func.clock_timestamp())
            .returning(conversations.c.last_position)
            .cte("counted")
        )
        values = self._values(item) | {
            "conversation_id": conversation_id,
            "id": item.id,
            "user_id": self._user_id,
            "run_id": run.run_id if run else None,
        }
        turn = literal(run.message_position if run else None, BigInteger)
        inserted = (
            insert(messages)
            .from_select(
                [*values, "position", "turn"],
                select(
                    *(literal(value, messages.c[name].type) for name, value in values.items()),
                    counted.c.last_position,
                    func.coalesce(turn, counted.c.last_position),
                ),
            )
            .on_conflict_do_nothing(index_elements=["conversation_id", "id"])
            .returning(messages.c.position)
            .cte("inserted")
        )
        statement = select(inserted.c.position).select_from(counted.outerjoin(inserted, true()))
        row = (await self._connection.execute(statement)).one_or_none()
        if row is None:
            raise await absent_conversation(self._connection, conversation_id)
        if row.position is None:
            await self._take_back_position(conversation_id)
        return row.position

    async def get(self, conversation_id: str, item_id: str) -> JsonObject:
        """Return an item as it came. Raises its absence."""
        payload = await self.find(conversation_id, item_id)
        if payload is None:
            raise await self._absent_item(conversation_id)
        return payload

    async def find(self, conversation_id: str, item_id: str) -> JsonObject | None:
        """Return an item as it came, or None."""
        statement = select(messages.c.payload).where(*self._is(conversation_id, item_id))
        return await self._connection.scalar(statement)

    async def delete(self, conversation_id: str, item_id: str) -> None:
        """Delete an item. Raises its absence."""
        deleted = await self._connection.execute(delete(messages).where(*self._is(conversation_id, item_id)))
        if deleted.rowcount == 0:
            raise await self._absent_item(conversation_id)

    async def list_items(
        self, conversation_id: str, limit: int, after: str | None, order: Order, *, hidden: bool
    ) -> Page[JsonObject]:
        """Return a page of items as they came, by position. Raises the conversation's absence, InvalidCursorError."""
        rows = await self._page((messages.c.payload,), conversation_id, limit, after, order, hidden=hidden)
        data = [row["payload"] for row in rows[:limit]]
        return Page(data=data, has_more=len(rows) > limit, after=data[-1]["id"] if data else None)

    async def list_messages(self, conversation_id: str, limit: int, after: str | None, order: Order) -> Page[Message]:
        """Return a page of messages by position. Raises the conversation's absence, InvalidCursorError."""
        rows = await self._page(_MESSAGE_COLUMNS, conversation_id, limit, after, order, hidden=False)
        data = [Message.model_validate(dict(row)) for row in rows[:limit]]
        return Page(data=data, has_more=len(rows) > limit, after=data[-1].id if data else None)

    async def context(self, conversation_id: str, run: RunTurn, limit: int) -> list[ContextMessage]:
        """Return the model's context of a run: see `domain.context_window`, which gets no more rows than it needs."""
        columns = (*_CONTEXT_COLUMNS, messages.c.turn, messages.c.position)
        in_conversation = self._in(conversation_id)
        before = (
            select(*columns)
            .where(
                *in_conversation,
                messages.c.turn <= run.message_position,
                messages.c.run_id.is_distinct_from(run.run_id),
                ~messages.c.hidden,
            )
            .order_by(messages.c.turn.desc(), messages.c.position.desc())
            .limit(limit)
        )
        own = select(*columns).where(
            *in_conversation, messages.c.turn == run.message_position, messages.c.run_id == run.run_id
        )
        rows = [*(await self._rows(before)), *(await self._rows(own))]
        return context_window((_context_row(row) for row in rows), run, limit)

    async def _page(
        self,
        columns: tuple[Any, ...],
        conversation_id: str,
        limit: int,
        after: str | None,
        order: Order,
        *,
        hidden: bool,
    ) -> list[Mapping[Any, Any]]:
        """Return up to `limit` + 1 rows. The cursor is resolved in the statement; its faults are told apart later."""
        position = messages.c.position
        statement = select(*columns).where(*self._in(conversation_id)).limit(limit + 1)
        if not hidden:
            statement = statement.where(~messages.c.hidden)
        if after is not None:
            seen = select(position).where(*self._is(conversation_id, after)).scalar_subquery()
            statement = statement.where(position > seen if order == "asc" else position < seen)
        rows = await self._rows(statement.order_by(position.asc() if order == "asc" else position.desc()))
        if not rows:
            await self._explain_nothing(conversation_id, after)
        return rows

    async def _explain_nothing(self, conversation_id: str, after: str | None) -> None:
        if not await self._owns(conversation_id):
            raise await absent_conversation(self._connection, conversation_id)
        if after is not None and await self.find(conversation_id, after) is None:
            raise InvalidCursorError()

    async def _replace(self, conversation_id: str, item: Item, run: RunTurn | None) -> bool:
        mine: ColumnElement[bool] = messages.c.run_id == run.run_id if run else true()
        statement = update(messages).where(*self._is(conversation_id, item.id), mine).values(**self._values(item))
        return (await self._connection.execute(statement)).rowcount > 0

    async def _take_back_position(self, conversation_id: str) -> None:
        """Undo the count of an append that found its id taken; the row is still locked, so nobody has seen it."""
        await self._connection.execute(
            update(conversations)
            .where(conversations.c.id == conversation_id, conversations.c.user_id == self._user_id)
            .values(last_position=conversations.c.last_position - 1)
        )

    async def _absent_item(self, conversation_id: str) -> Exception:
        if await self._owns(conversation_id):
            return ItemNotFoundError()
        return await absent_conversation(self._connection, conversation_id)

    async def _owns(self, conversation_id: str) -> bool:
        statement = select(true()).where(
            conversations.c.id == conversation_id, conversations.c.user_id == self._user_id
        )
        return bool(await self._connection.scalar(statement))

    async def _rows(self, statement: Any) -> list[Mapping[Any, Any]]:
        return list((await self._connection.execute(statement)).mappings().all())

    def _in(self, conversation_id: str) -> tuple[Any, Any]:
        return messages.c.conversation_id == conversation_id, messages.c.user_id == self._user_id

    def _is(self, conversation_id: str, item_id: str) -> tuple[Any, Any, Any]:
        return *self._in(conversation_id), messages.c.id == item_id

    @staticmethod
    def _values(item: Item) -> dict[str, Any]:
        return {
            "role": item.role,
            "kind": item.kind,
            "content": item.content,
            "tool_calls": [call.model_dump() for call in item.tool_calls],
            "payload": item.payload,
            "hidden": item.hidden,
            "created_at": item.created_at,
        }


def _context_row(row: Mapping[Any, Any]) -> ContextRow:
    message = ContextMessage.model_validate({name: row[name] for name in ContextMessage.model_fields})
    return ContextRow(message, turn=row["turn"], position=row["position"])
