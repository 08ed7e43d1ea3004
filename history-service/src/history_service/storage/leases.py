"""Leases on everybody's runs: the only statements without an owner, under a role that sees runs alone."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Double,
    Interval,
    Select,
    String,
    Update,
    and_,
    any_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)

from contracts.runs import RunError, RunStanding
from history_service.storage.runs import (
    CANCELLED,
    FAILED,
    IN_PROGRESS,
    IS_IN_PROGRESS,
    IS_QUEUED,
    IS_UNFINISHED,
    PLACED_RUN_COLUMNS,
    QUEUED,
    PlacedRun,
    placed_run_of,
)
from history_service.tables import runs
from service_kit.database import Transaction
from service_kit.statements import Statement

_NOW = func.clock_timestamp()
_EXPIRED = and_(IS_IN_PROGRESS, runs.c.lease_expires_at <= _NOW)
_UNWANTED = runs.c.cancel_requested_at.is_not(None)
_IS_HOPELESS = or_(_UNWANTED, runs.c.attempt - runs.c.releases >= bindparam("max_attempts"))
"""Attempts that were given back (a worker that is told to stop) show nothing against the run."""

_LEASE_END: ColumnElement[Any] = _NOW + bindparam("lease", type_=Interval)
_ELAPSED_SECONDS = case(
    (runs.c.attempt == 1, literal_column("0.0", Double)),
    else_=func.greatest(0, cast(func.extract("epoch", _NOW - runs.c.started_at), Double)),
).label("elapsed_seconds")
_IS_HELD = (runs.c.id == bindparam("id"), runs.c.attempt == bindparam("held_attempt"), IS_IN_PROGRESS)


def _end(chosen: Select[Any]) -> Update:
    """End runs, at most `rows` of them. Those that the user wanted to stop are cancelled, the others have failed."""
    ended = (
        chosen.limit(bindparam("rows"))
        .with_for_update(skip_locked=True)
        .cte("ended")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    return (
        update(runs)
        .where(runs.c.id == ended.c.id)
        .values(
            status=case((_UNWANTED, CANCELLED), else_=FAILED),
            error=case((_UNWANTED, null()), else_=bindparam("new_error", type_=runs.c.error.type)),
            finished_at=_NOW,
            lease_expires_at=null(),
            worker_id=null(),
        )
        .returning(*PLACED_RUN_COLUMNS)
    )


def _claim() -> Update:
    older = runs.alias("older")
    waits = (
        select(older.c.id)
        .where(
            # The owner too: there is an index of what is unfinished, by owner and conversation.
            older.c.user_id == runs.c.user_id,
            older.c.conversation_id == runs.c.conversation_id,
            older.c.number < runs.c.number,
            older.c.status.in_([QUEUED, IN_PROGRESS]),
        )
        .exists()
    )
    oldest = (
        select(runs.c.id)
        .where(IS_UNFINISHED, or_(IS_QUEUED, and_(_EXPIRED, ~_IS_HOPELESS)), ~waits)
        .order_by(runs.c.number)
        .limit(bindparam("most"))
        .with_for_update(of=runs, skip_locked=True)
        .cte("oldest")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    return (
        update(runs)
        .where(runs.c.id == oldest.c.id)
        .values(
            status=IN_PROGRESS,
            attempt=runs.c.attempt + literal_column("1"),
            worker_id=bindparam("new_worker", type_=runs.c.worker_id.type),
            lease_expires_at=_LEASE_END,
            started_at=func.coalesce(runs.c.started_at, _NOW),
        )
        .returning(*PLACED_RUN_COLUMNS, runs.c.number, runs.c.lease_expires_at, _ELAPSED_SECONDS)
    )


_END_ABANDONED = Statement(_end(select(runs.c.id).where(_EXPIRED, _IS_HOPELESS)))
_END_EXPIRED = Statement(
    _end(
        select(runs.c.id)
        .where(
            IS_UNFINISHED,
            or_(IS_QUEUED, _EXPIRED),
            runs.c.created_at <= _NOW - bindparam("expiry", type_=Interval),
        )
        .order_by(runs.c.number)
    )
)
_CLAIM = Statement(_claim())
_RENEW = Statement(
    update(runs)
    .where(*_IS_HELD)
    .values(lease_expires_at=_LEASE_END)
    .returning(runs.c.user_id, runs.c.lease_expires_at, runs.c.cancel_requested_at)
)
_RELEASE = Statement(
    update(runs)
    .where(*_IS_HELD)
    .values(
        status=case((_UNWANTED, CANCELLED), else_=QUEUED),
        releases=runs.c.releases + literal_column("1"),
        finished_at=case((_UNWANTED, _NOW), else_=null()),
        lease_expires_at=null(),
        worker_id=null(),
    )
    .returning(*PLACED_RUN_COLUMNS)
)


_STANDINGS = Statement(
    select(runs.c.id, runs.c.status, runs.c.attempt).where(runs.c.id == any_(bindparam("ids", type_=ARRAY(String))))
)


@dataclass(frozen=True)
class ClaimedRun:
    """A run that a worker now holds, until `expires_at` by the database's clock.

    `elapsed_seconds` is how long ago the run's first attempt began.
    """

    placed: PlacedRun
    expires_at: datetime
    elapsed_seconds: float


@dataclass(frozen=True)
class RenewedLease:
    """A lease that goes on."""

    user_id: str
    expires_at: datetime
    cancel_requested: bool


class LeaseStore:
    """Claims and leases, within one transaction that acts as the dispatcher."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def end_abandoned(self, max_attempts: int, error: RunError, rows: int) -> list[PlacedRun]:
        """End up to `rows` runs whose lease has expired and that nobody shall claim again.

        Those that the user wanted to stop are cancelled, those that have used up their attempts have failed.
        """
        values = {"max_attempts": max_attempts, "new_error": error.model_dump(), "rows": rows}
        return [placed_run_of(row) for row in await self._transaction.rows(_END_ABANDONED, **values)]

    async def end_expired(self, expiry: timedelta, error: RunError, rows: int) -> list[PlacedRun]:
        """End up to `rows` unfinished runs that were created so long ago and that no worker holds, oldest first."""
        values = {"expiry": expiry, "new_error": error.model_dump(), "rows": rows}
        return [placed_run_of(row) for row in await self._transaction.rows(_END_EXPIRED, **values)]

    async def claim(self, worker_id: str, lease: timedelta, max_attempts: int, most: int) -> list[ClaimedRun]:
        """Give the oldest claimable runs to a worker: queued, or with an expired lease and attempts left; oldest first.

        A run waits while an older one of its conversation is unfinished, so no two of them are of one conversation.
        Runs that others hold locked are passed over.
        """
        rows = await self._transaction.rows(
            _CLAIM, new_worker=worker_id, lease=lease, max_attempts=max_attempts, most=most
        )
        rows.sort(key=itemgetter("number"))
        return [ClaimedRun(placed_run_of(row), row["lease_expires_at"], row["elapsed_seconds"]) for row in rows]

    async def renew(self, run_id: str, attempt: int, lease: timedelta) -> RenewedLease | None:
        """Renew the lease of an attempt, also a late one that nobody has taken over; None if it is lost."""
        row = await self._transaction.row(_RENEW, id=run_id, held_attempt=attempt, lease=lease)
        if row is None:
            return None
        return RenewedLease(row["user_id"], row["lease_expires_at"], row["cancel_requested_at"] is not None)

    async def release(self, run_id: str, attempt: int) -> PlacedRun | None:
        """Give a run back to the queue, or end it if the user wanted that; None if the lease is lost."""
        row = await self._transaction.row(_RELEASE, id=run_id, held_attempt=attempt)
        return None if row is None else placed_run_of(row)

    async def standings(self, run_ids: list[str]) -> list[RunStanding]:
        """Return how far those of the runs that are there have come."""
        return [RunStanding(**row) for row in await self._transaction.rows(_STANDINGS, ids=run_ids)]
