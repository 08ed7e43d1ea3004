"""The ledger of tool calls in Postgres."""

from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from task_tools.tables import CallRow


class CallResult(NamedTuple):
    """What a tool answered: JSON, or a sentence if it is an error."""

    text: str
    is_error: bool = False


class RecordedCall(NamedTuple):
    """A call that has acted."""

    tool: str
    arguments_digest: str
    result: CallResult


class CallStore:
    """The calls made for one user, within a transaction that acts as that user."""

    def __init__(self, connection: AsyncConnection, user_id: str) -> None:
        self._connection = connection
        self._user_id = user_id

    async def reserve(self, key: str, tool: str, arguments_digest: str) -> bool:
        """Take the key; False if a call has it already.

        While another transaction holds the key without having ended, this waits for it: the key is taken if that
        one commits, and free if it does not.
        """
        result = await self._connection.execute(
            insert(CallRow)
            .values(user_id=self._user_id, key=key, tool=tool, arguments_digest=arguments_digest, is_error=False)
            .on_conflict_do_nothing()
            .returning(col(CallRow.key))
        )
        return result.one_or_none() is not None

    async def record(self, key: str, result: CallResult) -> None:
        """Store what the call of a reserved key answers."""
        await self._connection.execute(
            update(CallRow)
            .where(col(CallRow.user_id) == self._user_id, col(CallRow.key) == key)
            .values(result=result.text, is_error=result.is_error)
        )

    async def get(self, key: str) -> RecordedCall:
        """Return the call that took the key."""
        result = await self._connection.execute(
            select(col(CallRow.tool), col(CallRow.arguments_digest), col(CallRow.result), col(CallRow.is_error)).where(
                col(CallRow.user_id) == self._user_id, col(CallRow.key) == key
            )
        )
        row = result.one()
        return RecordedCall(row.tool, row.arguments_digest, CallResult(row.result or "", row.is_error))
