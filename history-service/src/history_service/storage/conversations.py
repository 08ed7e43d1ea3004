"""Conversations of one user."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, func, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.conversations import Conversation, ConversationCreate, ConversationPatch, ConversationPut
from contracts.pages import Order, Page
from history_service.domain import ConversationCursor, as_utc, conversation_cursor
from history_service.errors import ConversationConflictError, InvalidCursorError
from history_service.storage.roles import absent_conversation
from history_service.tables import conversations, runs

_COLUMNS = (
    conversations.c.id,
    conversations.c.user_id,
    conversations.c.title,
    conversations.c.status,
    conversations.c.metadata,
    conversations.c.allowed_image_domains,
    conversations.c.created_at,
    conversations.c.updated_at,
)


class ConversationStore:
    """The user's conversations, within one transaction that acts as the user."""

    def __init__(self, connection: AsyncConnection, user_id: str) -> None:
        self._connection = connection
        self._user_id = user_id

    async def create(self, conversation_id: str, new: ConversationCreate) -> Conversation:
        """Insert a conversation. Raises ConversationConflictError, or ConversationForbiddenError if it is foreign."""
        values = {"id": conversation_id, "title": new.title, "metadata": new.metadata, "status": {"type": "active"}}
        created = await self._insert(values, func.clock_timestamp())
        if created is None:
            await self.get(conversation_id)
            raise ConversationConflictError()
        return created

    async def get(self, conversation_id: str) -> Conversation:
        """Return a conversation. Raises its absence."""
        row = await self._one(select(*_COLUMNS).where(*self._is(conversation_id)))
        if row is None:
            raise await absent_conversation(self._connection, conversation_id)
        return row

    async def put(self, put: ConversationPut) -> Conversation:
        """Create or replace a conversation; `created_at` stays what it was first."""
        return await self._replace(put) or await self.ensure(put) or await self._replace_or_refuse(put)

    async def ensure(self, put: ConversationPut) -> Conversation | None:
        """Create a conversation unless its id is taken; then return None."""
        return await self._insert(put.model_dump(exclude={"created_at"}), as_utc(put.created_at))

    async def patch(self, conversation_id: str, patch: ConversationPatch) -> Conversation:
        """Change what was set on `patch`. Raises the conversation's absence."""
        changes = patch.model_dump(exclude_unset=True)
        for name in ("status", "metadata"):
            if changes.get(name, {}) is None:
                del changes[name]
        changed = await self._update(conversation_id, changes)
        if changed is None:
            raise await absent_conversation(self._connection, conversation_id)
        return changed

    async def name(self, conversation_id: str, title: str) -> None:
        """Give a conversation a title, unless it has one."""
        unnamed = conversations.c.title.is_(None)
        await self._connection.execute(
            update(conversations)
            .where(*self._is(conversation_id), unnamed)
            .values(title=title, updated_at=func.clock_timestamp())
        )

    async def touch(self, conversation_id: str) -> None:
        """Move a conversation to the newest place in the list."""
        await self._connection.execute(
            update(conversations).where(*self._is(conversation_id)).values(updated_at=func.clock_timestamp())
        )

    async def lock(self, conversation_id: str) -> int:
        """Keep other writers out until the transaction ends; returns the last position. Raises its absence."""
        statement = select(conversations.c.last_position).where(*self._is(conversation_id))
        position = await self._connection.scalar(statement.with_for_update(key_share=True))
        if position is None:
            raise await absent_conversation(self._connection, conversation_id)
        return int(position)

    async def delete(self, conversation_id: str) -> None:
        """Delete a conversation with its messages and runs. Raises its absence."""
        owned = (runs.c.conversation_id == conversation_id, runs.c.user_id == self._user_id)
        # Workers lock the run, then the conversation; in the same order here, so that neither waits in a circle.
        await self._connection.execute(select(runs.c.id).where(*owned).order_by(runs.c.id).with_for_update())
        deleted = await self._connection.execute(delete(conversations).where(*self._is(conversation_id)))
        if deleted.rowcount == 0:
            raise await absent_conversation(self._connection, conversation_id)

    async def list(self, limit: int, after: str | None, order: Order) -> Page[Conversation]:
        """Return a page by (updated_at, id). Raises InvalidCursorError."""
        place = tuple_(conversations.c.updated_at, conversations.c.id)
        statement = select(*_COLUMNS).where(conversations.c.user_id == self._user_id).limit(limit + 1)
        if after is not None:
            seen = await self._place(conversation_cursor(after))
            statement = statement.where(place > seen if order == "asc" else place < seen)
        by = (conversations.c.updated_at, conversations.c.id)
        statement = statement.order_by(*(column.asc() if order == "asc" else column.desc() for column in by))
        rows = (await self._connection.execute(statement)).mappings().all()
        page = [_conversation(row) for row in rows[:limit]]
        last = str(ConversationCursor(page[-1].id, page[-1].updated_at)) if page else None
        return Page(data=page, has_more=len(rows) > limit, after=last)

    async def _place(self, cursor: ConversationCursor) -> Any:
        updated_at = cursor.updated_at or await self._connection.scalar(
            select(conversations.c.updated_at).where(*self._is(cursor.conversation_id))
        )
        if updated_at is None:
            raise InvalidCursorError()
        return tuple_(literal(updated_at, conversations.c.updated_at.type), literal(cursor.conversation_id))

    async def _insert(self, values: Mapping[str, Any], created_at: Any) -> Conversation | None:
        statement = upsert(conversations).values(
            **values, user_id=self._user_id, created_at=created_at, updated_at=func.clock_timestamp()
        )
        return await self._one(statement.on_conflict_do_nothing(index_elements=["id"]).returning(*_COLUMNS))

    async def _replace(self, put: ConversationPut) -> Conversation | None:
        return await self._update(put.id, put.model_dump(exclude={"id", "created_at"}))

    async def _replace_or_refuse(self, put: ConversationPut) -> Conversation:
        replaced = await self._replace(put)
        if replaced is None:
            raise await absent_conversation(self._connection, put.id)
        return replaced

    async def _update(self, conversation_id: str, changes: Mapping[str, Any]) -> Conversation | None:
        statement = update(conversations).where(*self._is(conversation_id))
        return await self._one(statement.values(**changes, updated_at=func.clock_timestamp()).returning(*_COLUMNS))

    async def _one(self, statement: Any) -> Conversation | None:
        row = (await self._connection.execute(statement)).mappings().one_or_none()
        return None if row is None else _conversation(row)

    def _is(self, conversation_id: str) -> tuple[Any, Any]:
        return conversations.c.id == conversation_id, conversations.c.user_id == self._user_id


def _conversation(row: Mapping[Any, Any]) -> Conversation:
    return Conversation.model_validate(dict(row))
