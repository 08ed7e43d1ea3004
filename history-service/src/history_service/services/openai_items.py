"""OpenAI items of one user's conversations: which rows they are, and what writing one changes elsewhere."""

from collections.abc import Sequence
from datetime import UTC, datetime

from contracts.conversations import Conversation, JsonObject
from contracts.pages import Order
from history_service.errors import InvalidCursorError, ItemConflictError, ItemNotFoundError
from history_service.openai_projection.drawing import (
    drawn,
    reopened,
    same_content,
    settled,
    settled_status,
    without,
)
from history_service.openai_projection.ids import new_item_id, row_behind
from history_service.openai_projection.reading import LogRow, number_in_row, openai_items
from history_service.storage.openai_items import BEFORE_ALL, NewRow
from history_service.storage.user import UserTransaction


class OpenAIItemService:
    """Lists, makes and deletes items within one transaction."""

    def __init__(self, history: UserTransaction) -> None:
        self._conversations = history.conversations
        self._messages = history.messages
        self._items = history.openai_items

    async def page(
        self, conversation_id: str, limit: int, after: str | None, order: Order
    ) -> tuple[list[JsonObject], bool]:
        """Return a page, and whether there is more. Raises the conversation's absence, InvalidCursorError."""
        items: list[JsonObject] = []
        boundary = BEFORE_ALL[order]
        if after is not None:
            row, number = await self._find(conversation_id, after) or await self._no_cursor(conversation_id)
            items, boundary = _after(row, number, order), row.position
        while len(items) <= limit:
            wanted = limit + 1 - len(items)
            rows = await self._items.page(conversation_id, boundary, order, wanted)
            items.extend(item for row in rows for item in _in_order(openai_items(row), order))
            if len(rows) < wanted:
                break
            boundary = rows[-1].position
        if not items:
            await self._conversations.get(conversation_id)
        return items[:limit], len(items) > limit

    async def get(self, conversation_id: str, item_id: str) -> JsonObject:
        """Return an item. Raises its absence."""
        row, number = await self._find(conversation_id, item_id) or await self._no_item(conversation_id)
        return openai_items(row)[number]

    async def create(self, conversation_id: str, items: Sequence[JsonObject]) -> list[JsonObject]:
        """Append accepted items, all or none, and return them with their ids.

        One that is there already with the same content stays as it is; with other content, ItemConflictError is raised.
        """
        position = await self._conversations.lock(conversation_id)
        taken = await self._taken(conversation_id, items)
        new: list[JsonObject] = []
        answer: list[JsonObject] = []
        for item in items:
            identifier = item.get("id")
            if identifier in taken:
                there = taken[identifier]
                if there is None or not same_content(there, item):
                    raise ItemConflictError()
                answer.append(there)
                continue
            # An id that this API has derived for another conversation's row is no name for a row.
            if identifier is None or row_behind(identifier) is not None:
                identifier = new_item_id(item["type"])
            named = {"id": identifier, **{name: value for name, value in item.items() if name != "id"}}
            taken[identifier] = named
            new.append(named)
            answer.append(named)
        if new:
            await self._items.append(conversation_id, position, await self._drawn(conversation_id, position, new))
        return answer

    async def delete(self, conversation_id: str, item_id: str) -> Conversation:
        """Delete an item and return its conversation. Raises the item's absence."""
        found = await self._find(conversation_id, item_id) or await self._no_item(conversation_id)
        if found[0].openai_item is not None:
            # Before any row, as `create` does: another row may change too. A worker locks its rows first.
            await self._conversations.lock(conversation_id)
        row, number = await self._find(conversation_id, item_id, lock=True) or await self._no_item(conversation_id)
        left = without(row, number)
        if left is not None:
            await self._items.rewrite(conversation_id, left)
        else:
            await self._messages.delete(conversation_id, row.id)
            await self._reopen_call(conversation_id, row)
        return await self._conversations.get(conversation_id)

    async def _drawn(self, conversation_id: str, position: int, items: Sequence[JsonObject]) -> list[NewRow]:
        """Return the rows of items; results of tool calls show in the rows of their calls, new or stored."""
        now = datetime.now(UTC)
        rows: list[NewRow] = []
        open_calls: dict[str, list[int]] = {}
        for place, item in enumerate(items):
            rows.append(NewRow(drawn(item, conversation_id, now), item))
            if item["type"] == "function_call":
                open_calls.setdefault(item["call_id"], []).append(place)
            elif item["type"] == "function_call_output" and open_calls.get(item.get("call_id", "")):
                called = open_calls[item["call_id"]].pop()
                call = rows[called].item
                rows[called] = NewRow(settled(call.payload, call.tool_calls[0], item), items[called])
            elif item["type"] == "function_call_output" and item.get("call_id") is not None:
                await self._settle_call(conversation_id, position, item)
        return rows

    async def _settle_call(self, conversation_id: str, last_position: int, output: JsonObject) -> None:
        row = await self._items.find_call(conversation_id, output["call_id"], "in_progress", last_position + 1)
        if row is not None:
            await self._items.rewrite(conversation_id, settled(row.payload, row.tool_calls[0], output))

    async def _reopen_call(self, conversation_id: str, deleted: LogRow) -> None:
        output = deleted.openai_item
        if output is None or output["type"] != "function_call_output" or output.get("call_id") is None:
            return
        status = settled_status(output)
        row = await self._items.find_call(conversation_id, output["call_id"], status, deleted.position)
        if row is not None:
            await self._items.rewrite(conversation_id, reopened(row.payload, row.tool_calls[0]))

    async def _taken(self, conversation_id: str, items: Sequence[JsonObject]) -> dict[str, JsonObject | None]:
        """Return what has the ids that clients gave: an item, or None for a row that shows otherwise."""
        rows = await self._items.named(conversation_id, [item["id"] for item in items if "id" in item])
        taken: dict[str, JsonObject | None] = {row.id: None for row in rows}
        return taken | {item["id"]: item for row in rows for item in openai_items(row)}

    async def _find(self, conversation_id: str, item_id: str, *, lock: bool = False) -> tuple[LogRow, int] | None:
        for row in await self._items.named(conversation_id, [item_id], lock=lock):
            number = number_in_row(row, item_id)
            if number is not None:
                return row, number
        return None

    async def _no_item(self, conversation_id: str) -> tuple[LogRow, int]:
        await self._conversations.get(conversation_id)
        raise ItemNotFoundError()

    async def _no_cursor(self, conversation_id: str) -> tuple[LogRow, int]:
        await self._conversations.get(conversation_id)
        raise InvalidCursorError()


def _in_order(items: list[JsonObject], order: Order) -> list[JsonObject]:
    return items if order == "asc" else items[::-1]


def _after(row: LogRow, number: int, order: Order) -> list[JsonObject]:
    items = openai_items(row)
    return items[number + 1 :] if order == "asc" else items[:number][::-1]
