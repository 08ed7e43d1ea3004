"""Answers kept for repeated creates."""

from typing import NamedTuple

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from history_service.tables.idempotency import answers
from service_kit.database import Transaction
from service_kit.statements import Statement

_IS_OWN = (answers.c.user_id == bindparam("user_id"), answers.c.key == bindparam("key"))

_RESERVE = Statement(
    insert(answers)
    .values({name: bindparam(name) for name in ("user_id", "key", "request_digest")})
    .on_conflict_do_nothing()
    .returning(answers.c.key)
)
_GET = Statement(select(answers.c.request_digest, answers.c.answer).where(*_IS_OWN))
_RECORD = Statement(
    update(answers)
    .where(*_IS_OWN)
    .values(answer=bindparam("new_answer"), conversation_id=bindparam("new_conversation_id"))
)


class KeptAnswer(NamedTuple):
    """What a request with this key was answered; JSON text."""

    request_digest: str
    answer: str


class AnswerStore:
    """The user's kept answers, within the transaction of what they tell of."""

    def __init__(self, transaction: Transaction, user_id: str) -> None:
        self._transaction = transaction
        self._user_id = user_id

    async def reserve(self, key: str, request_digest: str) -> KeptAnswer | None:
        """Take the key and return None, or return the answer of the request that took it.

        While another transaction holds the key without having ended, this waits for it.
        """
        values = {"user_id": self._user_id, "key": key}
        while await self._transaction.value(_RESERVE, **values, request_digest=request_digest) is None:
            row = await self._transaction.row(_GET, **values)
            if row is not None:
                return KeptAnswer(row["request_digest"], row["answer"] or "")
            # Deleted in between: the key is free again.
        return None

    async def record(self, key: str, answer: str, conversation_id: str) -> None:
        """Keep the answer of a reserved key, for as long as the conversation lives or retention allows."""
        await self._transaction.execute(
            _RECORD, user_id=self._user_id, key=key, new_answer=answer, new_conversation_id=conversation_id
        )
