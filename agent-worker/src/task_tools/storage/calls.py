"""The ledger of tool calls in Postgres."""

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Integer, Interval, String, bindparam, delete, func, literal_column, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from service_kit.database import Transaction
from service_kit.statements import Statement
from task_tools.tables import CallRow

_IS_OWN = (col(CallRow.user_id) == bindparam("user_id"), col(CallRow.key) == bindparam("key"))
_RESERVED = ("user_id", "key", "tool", "arguments_digest")

_RESERVE = Statement(
    insert(CallRow)
    .values({name: bindparam(name, type_=String) for name in _RESERVED} | {"is_error": literal_column("false")})
    .on_conflict_do_nothing()
    .returning(col(CallRow.key))
)
_RECORD = Statement(
    update(CallRow).where(*_IS_OWN).values(result=bindparam("new_result"), is_error=bindparam("new_is_error"))
)
_GET = Statement(
    select(col(CallRow.tool), col(CallRow.arguments_digest), col(CallRow.result), col(CallRow.is_error)).where(*_IS_OWN)
)
_DELETE_OLD = Statement(
    delete(CallRow).where(
        tuple_(col(CallRow.user_id), col(CallRow.key)).in_(
            select(col(CallRow.user_id), col(CallRow.key))
            .where(col(CallRow.created_at) < func.clock_timestamp() - bindparam("age", type_=Interval))
            .order_by(col(CallRow.created_at))
            .limit(bindparam("rows", type_=Integer))
        )
    )
)


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

    def __init__(self, transaction: Transaction, user_id: str) -> None:
        self._transaction = transaction
        self._user_id = user_id

    async def reserve(self, key: str, tool: str, arguments_digest: str) -> bool:
        """Take the key; False if a call has it already.

        While another transaction holds the key without having ended, this waits for it: the key is taken if that
        one commits, and free if it does not.
        """
        reserved = await self._transaction.value(
            _RESERVE, user_id=self._user_id, key=key, tool=tool, arguments_digest=arguments_digest
        )
        return reserved is not None

    async def record(self, key: str, result: CallResult) -> None:
        """Store what the call of a reserved key answers."""
        await self._transaction.execute(
            _RECORD, user_id=self._user_id, key=key, new_result=result.text, new_is_error=result.is_error
        )

    async def get(self, key: str) -> RecordedCall:
        """Return the call that took the key. Raises LookupError if there is none."""
        row = await self._transaction.row(_GET, user_id=self._user_id, key=key)
        if row is None:
            raise LookupError("no call has this key")
        return RecordedCall(row["tool"], row["arguments_digest"], CallResult(row["result"] or "", row["is_error"]))


async def delete_old_calls(transaction: Transaction, age: timedelta, rows: int) -> int:
    """Delete up to `rows` calls of anybody's that are older than `age`, the oldest first; returns how many.

    The transaction acts as `RETENTION_ROLE`.
    """
    return await transaction.execute(_DELETE_OLD, age=age, rows=rows)
