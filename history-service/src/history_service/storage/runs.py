"""Runs of one user."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from asyncpg import Record
from sqlalchemy import (
    ClauseElement,
    Integer,
    String,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from contracts.pages import Order, Page
from contracts.runs import Run, RunFinish
from history_service.domain import RunLimits, RunTurn
from history_service.errors import InvalidCursorError, RunQueueFullError, RunRefusedError, TooManyRunsError
from history_service.storage.roles import absent_conversation, absent_run, taken_run
from history_service.tables import conversations, runs
from service_kit.database import Transaction
from service_kit.statements import Statement

RUN_COLUMNS = tuple(runs.c[name] for name in Run.model_fields)
PLACED_RUN_COLUMNS = (*RUN_COLUMNS, runs.c.message_position)
QUEUED, IN_PROGRESS, CANCELLED, FAILED = (
    literal_column(f"'{status}'", String) for status in ("queued", "in_progress", "cancelled", "failed")
)
"""Written into the statements, so that Postgres can tell that a partial index fits."""

IS_UNFINISHED = runs.c.status.in_([QUEUED, IN_PROGRESS])
IS_QUEUED = runs.c.status == QUEUED
IS_IN_PROGRESS = runs.c.status == IN_PROGRESS

_NOW = func.clock_timestamp()
_ORDERS: tuple[Order, Order] = ("asc", "desc")
_IS_OWN = (runs.c.id == bindparam("id"), runs.c.user_id == bindparam("user_id"))
_IN_CONVERSATION = (runs.c.conversation_id == bindparam("conversation_id"), runs.c.user_id == bindparam("user_id"))
_ENDS_AT_ONCE = IS_QUEUED | (runs.c.lease_expires_at <= _NOW)

_INSERT = Statement(
    insert(runs)
    .values({name: bindparam(name) for name in ("id", "conversation_id", "user_id", "message_position")})
    .on_conflict_do_nothing(index_elements=["id"])
    .returning(*RUN_COLUMNS)
)
_GET = Statement(select(*RUN_COLUMNS).where(*_IS_OWN))
_WORKER = Statement(select(runs.c.worker_id).where(*_IS_OWN))
_NUMBER = Statement(select(runs.c.number).where(*_IN_CONVERSATION, runs.c.id == bindparam("id")))
_CANCEL = Statement(
    update(runs)
    .where(*_IS_OWN, IS_UNFINISHED)
    .values(
        cancel_requested_at=func.coalesce(runs.c.cancel_requested_at, _NOW),
        status=case((_ENDS_AT_ONCE, CANCELLED), else_=runs.c.status),
        finished_at=case((_ENDS_AT_ONCE, _NOW), else_=null()),
        lease_expires_at=case((_ENDS_AT_ONCE, null()), else_=runs.c.lease_expires_at),
        worker_id=case((_ENDS_AT_ONCE, null()), else_=runs.c.worker_id),
    )
    .returning(*PLACED_RUN_COLUMNS)
)
_HOLD = Statement(
    select(runs.c.conversation_id, runs.c.message_position)
    .where(*_IS_OWN, runs.c.attempt == bindparam("attempt"), IS_IN_PROGRESS)
    .with_for_update()
)
_FINISH = Statement(
    update(runs)
    .where(*_IS_OWN)
    .values(
        status=bindparam("new_status", type_=runs.c.status.type),
        error=bindparam("new_error", type_=runs.c.error.type),
        usage=bindparam("new_usage", type_=runs.c.usage.type),
        finished_at=_NOW,
        lease_expires_at=null(),
    )
    .returning(*RUN_COLUMNS)
)
_OWNS_CONVERSATION = Statement(
    select(conversations.c.id).where(
        conversations.c.id == bindparam("conversation_id"), conversations.c.user_id == bindparam("user_id")
    )
)


def _find_or_refuse() -> ClauseElement:
    limits = (bindparam("queued", type_=Integer), bindparam("unfinished_per_user", type_=Integer))
    refusal = case((runs.c.id.is_(None), func.history.run_refusal(*limits))).label("refusal")
    asked = select(literal_column("1", Integer).label("once")).subquery("asked")
    return select(refusal, *RUN_COLUMNS).select_from(asked.outerjoin(runs, and_(*_IS_OWN)))


_FIND_OR_REFUSE = Statement(_find_or_refuse())
_REFUSALS: Mapping[str, type[RunRefusedError]] = {
    refusal.code: refusal for refusal in (RunQueueFullError, TooManyRunsError)
}


def _list(order: Order, *, after: bool, active: bool) -> ClauseElement:
    number = runs.c.number
    statement = select(*RUN_COLUMNS).where(*_IN_CONVERSATION)
    if active:
        statement = statement.where(IS_UNFINISHED)
    if after:
        seen = bindparam("seen", type_=number.type)
        statement = statement.where(number > seen if order == "asc" else number < seen)
    return statement.order_by(number.asc() if order == "asc" else number.desc()).limit(bindparam("rows"))


_PAGES = {
    (order, after, active): Statement(_list(order, after=after, active=active))
    for order, after, active in product(_ORDERS, (False, True), (False, True))
}


def run_of(row: Mapping[Any, Any] | Record) -> Run:
    """Return the run that a row of `RUN_COLUMNS` (and maybe more) tells of."""
    return Run.model_validate({name: row[name] for name in Run.model_fields})


@dataclass(frozen=True)
class PlacedRun:
    """A run, and its place in its conversation."""

    run: Run
    turn: RunTurn


def placed_run_of(row: Record) -> PlacedRun:
    """Return what a row of `PLACED_RUN_COLUMNS` (and maybe more) tells of."""
    return PlacedRun(run_of(row), RunTurn(row["id"], row["message_position"]))


class RunStore:
    """The user's runs, within one transaction that acts as the user."""

    def __init__(self, transaction: Transaction, user_id: str) -> None:
        self._transaction = transaction
        self._user_id = user_id

    async def insert(self, run_id: str, conversation_id: str, message_position: int) -> Run:
        """Queue a run. Raises RunForbiddenError if the id is somebody else's, RunConflictError if it is taken."""
        run = await self._one(_INSERT, id=run_id, conversation_id=conversation_id, message_position=message_position)
        if run is None:
            raise await taken_run(self._transaction, run_id)
        return run

    async def find_or_refuse(self, run_id: str, limits: RunLimits) -> Run | None:
        """Return a run; None if there is no such one, and room for it. Raises RunRefusedError if there is no room.

        Of one user, one transaction at a time gets this None, so that no more than the limit come to be. For the queue
        of everybody each counts by itself: it can grow beyond its limit by as many runs as are created at the moment.
        """
        (row,) = await self._transaction.rows(_FIND_OR_REFUSE, id=run_id, user_id=self._user_id, **asdict(limits))
        if row["refusal"] is not None:
            raise _REFUSALS[row["refusal"]]()
        return None if row["id"] is None else run_of(row)

    async def find(self, run_id: str) -> Run | None:
        """Return a run, or None."""
        return await self._one(_GET, id=run_id)

    async def is_ended_by_worker(self, run_id: str) -> bool:
        """Tell of an ended run whether its worker has ended it: whatever else ends one, takes the worker away."""
        return await self._transaction.value(_WORKER, id=run_id, user_id=self._user_id) is not None

    async def get(self, run_id: str) -> Run:
        """Return a run. Raises its absence."""
        run = await self.find(run_id)
        if run is None:
            raise await absent_run(self._transaction, run_id)
        return run

    async def list(
        self, conversation_id: str, limit: int, after: str | None, order: Order, *, active: bool
    ) -> Page[Run]:
        """Return a page in order of creation. Raises the conversation's absence, InvalidCursorError."""
        place = {"conversation_id": conversation_id, "user_id": self._user_id}
        seen = None
        if after is not None:
            seen = await self._transaction.value(_NUMBER, **place, id=after)
            if seen is None:
                await self._require_conversation(conversation_id)
                raise InvalidCursorError()
        statement = _PAGES[order, after is not None, active]
        rows = await self._transaction.rows(statement, **place, rows=limit + 1, seen=seen)
        if not rows:
            await self._require_conversation(conversation_id)
        data = [run_of(row) for row in rows[:limit]]
        return Page(data=data, has_more=len(rows) > limit, after=data[-1].id if data else None)

    async def cancel(self, run_id: str) -> PlacedRun | None:
        """Ask an unfinished run to end; None if there is no such one.

        A queued run ends at once, and so does one whose lease has expired: its worker cannot write any more.
        """
        row = await self._transaction.row(_CANCEL, id=run_id, user_id=self._user_id)
        return None if row is None else placed_run_of(row)

    async def hold(self, run_id: str, attempt: int) -> tuple[str, RunTurn] | None:
        """Keep the run with this attempt until the transaction ends: no claim can take it meanwhile.

        Returns its conversation and its place there; None if the attempt is not the current one, or has ended.
        """
        row = await self._transaction.row(_HOLD, id=run_id, user_id=self._user_id, attempt=attempt)
        return None if row is None else (row["conversation_id"], RunTurn(run_id, row["message_position"]))

    async def finish(self, run_id: str, finish: RunFinish) -> Run:
        """End a run that this transaction holds."""
        ended = await self._one(
            _FINISH,
            id=run_id,
            new_status=finish.status,
            new_error=finish.error.model_dump() if finish.error else None,
            new_usage=finish.usage.model_dump() if finish.usage else None,
        )
        if ended is None:
            raise await absent_run(self._transaction, run_id)
        return ended

    async def _require_conversation(self, conversation_id: str) -> None:
        owned = await self._transaction.value(
            _OWNS_CONVERSATION, conversation_id=conversation_id, user_id=self._user_id
        )
        if owned is None:
            raise await absent_conversation(self._transaction, conversation_id)

    async def _one(self, statement: Statement, **values: Any) -> Run | None:
        row = await self._transaction.row(statement, user_id=self._user_id, **values)
        return None if row is None else run_of(row)
