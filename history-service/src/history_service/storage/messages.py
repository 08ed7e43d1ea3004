"""The message log of a user's conversations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asyncpg import Record

from contracts.conversations import Conversation, JsonObject, Message
from contracts.pages import Order, Page
from contracts.runs import ContextMessage, Run
from history_service.domain import ContextRow, Item, ItemCursor, RunTurn, context_window, is_same_item, item_cursor
from history_service.errors import InvalidCursorError, ItemConflictError, ItemNotFoundError
from history_service.storage import message_statements as sql
from history_service.storage.conversations import conversation_of
from history_service.storage.roles import absent_conversation, taken_run
from history_service.storage.runs import run_of
from service_kit.database import Transaction
from service_kit.statements import Statement


@dataclass(frozen=True)
class ItemPage:
    """A page of ChatKit items, each the JSON text that is stored: nobody here looks inside."""

    texts: list[str]
    has_more: bool
    after: str | None


class MessageStore:
    """The user's messages, within one transaction that acts as the user."""

    def __init__(self, transaction: Transaction, user_id: str) -> None:
        self._transaction = transaction
        self._user_id = user_id

    async def append(self, conversation_id: str, item: Item) -> int | None:
        """Append an item and return its position; None if the very same item is there already.

        Raises ItemConflictError if another one has its id, and the conversation's absence.
        """
        position = await self._append(conversation_id, item)
        if position is None:
            there = await self._transaction.row(sql.GET_CONTENT, **self._key(conversation_id, item.id))
            if there is None or not is_same_item(item, there["payload"], there["tool_calls"], there["status"]):
                raise ItemConflictError()
        return position

    async def append_with_run(self, conversation_id: str, item: Item, run_id: str) -> Run:
        """Append the item of a new run and queue the run.

        Raises ItemConflictError, RunForbiddenError if the run's id is somebody else's, RunConflictError if it has just
        been taken in another conversation, and the conversation's absence.
        """
        values = self._values(conversation_id, item, None)
        row = await self._transaction.row(sql.APPEND_WITH_RUN, **values, new_run_id=run_id)
        # The message of a run is a new one: the same item again would be another run's.
        if row is None or await self._settled(row, conversation_id) is None:
            raise ItemConflictError()
        if row["id"] is None:
            raise await taken_run(self._transaction, run_id)
        return run_of(row)

    async def put(self, conversation_id: str, item: Item, run: RunTurn | None = None, title: str | None = None) -> bool:
        """Append an item at the next position, or replace the one with its id, which keeps its position.

        For a run, only the run's own items are replaced. Returns whether it was appended: then the conversation has
        become the one that changed last, and has the title unless it had one.
        Raises ItemConflictError and the conversation's absence.
        """
        values = self._values(conversation_id, item, run, title)
        row = await self._transaction.row(sql.PUT, **values)
        if await self._settled(row, conversation_id) is None:
            # Somebody else appended the same id just now: the next statement sees their row.
            row = await self._transaction.row(sql.PUT, **values)
            if await self._settled(row, conversation_id) is None:
                raise ItemConflictError()
        return row is not None and row["replaced"] is None

    async def answer_call(self, conversation_id: str, item: Item) -> None:
        """Let a pending client tool call have its output; if it has this very one already, nothing changes.

        Raises ItemConflictError if it has another one, or is another call; and the item's absence.
        """
        call = await self.find(conversation_id, item.id)
        if call is None:
            raise await self._absent_item(conversation_id)
        pending = {"status": "pending", "output": None}
        if call == item.payload:
            return
        if {**pending, **call} != {**item.payload, **pending}:
            raise ItemConflictError()
        await self.put(conversation_id, item)

    async def get_text(self, conversation_id: str, item_id: str) -> str:
        """Return the JSON text of an item. Raises its absence."""
        text = await self._transaction.value(sql.GET_TEXT, **self._key(conversation_id, item_id))
        if text is None:
            raise await self._absent_item(conversation_id)
        return text

    async def find(self, conversation_id: str, item_id: str) -> JsonObject | None:
        """Return an item as it came, or None."""
        return await self._transaction.value(sql.GET, **self._key(conversation_id, item_id))

    async def delete(self, conversation_id: str, item_id: str) -> None:
        """Delete an item. Raises its absence."""
        if not await self._transaction.execute(sql.DELETE, **self._key(conversation_id, item_id)):
            raise await self._absent_item(conversation_id)

    async def delete_after(self, conversation_id: str, item_id: str) -> None:
        """Delete all that follows an item. Raises the item's absence."""
        position = await self._transaction.value(sql.GET_POSITION, **self._key(conversation_id, item_id))
        if position is None:
            raise await self._absent_item(conversation_id)
        place = {"conversation_id": conversation_id, "user_id": self._user_id, "position": position}
        await self._transaction.execute(sql.DELETE_AFTER, **place)

    async def list_items(
        self, conversation_id: str, limit: int, after: str | None, order: Order, *, hidden: bool
    ) -> ItemPage:
        """Return a page of items as they came, by position. Raises the conversation's absence, InvalidCursorError."""
        cursor = item_cursor(after, conversation_id) if after else None
        statement = sql.ITEM_PAGES[order, _known(cursor), hidden]
        rows = await self._page(statement, conversation_id, limit, cursor)
        page = rows[:limit]
        return ItemPage([row["payload"] for row in page], len(rows) > limit, _next(page, conversation_id))

    async def list_messages(self, conversation_id: str, limit: int, after: str | None, order: Order) -> Page[Message]:
        """Return a page of messages by position. Raises the conversation's absence, InvalidCursorError."""
        cursor = item_cursor(after, conversation_id) if after else None
        rows = await self._page(sql.MESSAGE_PAGES[order, _known(cursor)], conversation_id, limit, cursor)
        page = rows[:limit]
        data = [Message.model_validate(dict(row)) for row in page]
        return Page(data=data, has_more=len(rows) > limit, after=_next(page, conversation_id))

    async def context(
        self, conversation_id: str, run: RunTurn, limit: int
    ) -> tuple[Conversation, list[ContextMessage]]:
        """Return a run's conversation and what the model gets to see of it. Raises the conversation's absence.

        See `domain.context_window`, which gets no more rows than it needs.
        """
        row = await self._transaction.row(
            sql.CONTEXT,
            conversation_id=conversation_id,
            user_id=self._user_id,
            turn=run.message_position,
            run_id=run.run_id,
            rows=limit,
        )
        if row is None:
            raise await absent_conversation(self._transaction, conversation_id)
        rows = (_context_row(said) for said in row["context"] or ())
        return conversation_of(row), context_window(rows, run, limit)

    async def _append(self, conversation_id: str, item: Item) -> int | None:
        row = await self._transaction.row(sql.APPEND, **self._values(conversation_id, item, None))
        return await self._settled(row, conversation_id)

    async def _settled(self, row: Record | None, conversation_id: str) -> int | None:
        """Return the position that an append or put has given; None if the id is taken. Raises absence."""
        if row is None or (row["replaced"] is None and row["counted"] is None):
            raise await absent_conversation(self._transaction, conversation_id)
        if row["replaced"] is None and row["inserted"] is None:
            await self._transaction.execute(
                sql.TAKE_BACK_POSITION, conversation_id=conversation_id, user_id=self._user_id
            )
        return row["replaced"] or row["inserted"]

    async def _page(
        self, statement: Statement, conversation_id: str, limit: int, cursor: ItemCursor | None
    ) -> list[Record]:
        after = cursor and (cursor.item_id if cursor.position is None else cursor.position)
        rows = await self._transaction.rows(
            statement, conversation_id=conversation_id, user_id=self._user_id, rows=limit + 1, after=after
        )
        if not rows:
            if not await self._owns(conversation_id):
                raise await absent_conversation(self._transaction, conversation_id)
            if _known(cursor) == "id" and await self.find(conversation_id, str(after)) is None:
                raise InvalidCursorError()
        return rows

    async def _absent_item(self, conversation_id: str) -> Exception:
        if await self._owns(conversation_id):
            return ItemNotFoundError()
        return await absent_conversation(self._transaction, conversation_id)

    async def _owns(self, conversation_id: str) -> bool:
        owned = await self._transaction.value(
            sql.OWNS_CONVERSATION, conversation_id=conversation_id, user_id=self._user_id
        )
        return bool(owned)

    def _key(self, conversation_id: str, item_id: str) -> dict[str, str]:
        return {"conversation_id": conversation_id, "user_id": self._user_id, "id": item_id}

    def _values(
        self, conversation_id: str, item: Item, run: RunTurn | None, title: str | None = None
    ) -> dict[str, Any]:
        return self._key(conversation_id, item.id) | {
            "role": item.role,
            "kind": item.kind,
            "content": item.content,
            "tool_calls": [call.model_dump() for call in item.tool_calls],
            "payload": item.payload,
            "hidden": item.hidden,
            "created_at": item.created_at,
            "status": item.status,
            "run_id": run.run_id if run else None,
            "turn": run.message_position if run else None,
            "title": title,
        }


def _context_row(row: Mapping[str, Any]) -> ContextRow:
    message = ContextMessage.model_validate({name: row[name] for name in ContextMessage.model_fields})
    return ContextRow(message, turn=row["turn"], position=row["position"])


def _known(cursor: ItemCursor | None) -> sql.Cursor:
    if cursor is None:
        return "none"
    return "id" if cursor.position is None else "position"


def _next(page: list[Record], conversation_id: str) -> str | None:
    return ItemCursor(page[-1]["id"], page[-1]["position"]).text(conversation_id) if page else None
