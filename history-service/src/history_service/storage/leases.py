"""Leases on everybody's runs: the only statements without an owner, under a role that sees runs alone."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, case, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.runs import Run, RunError
from history_service.domain import RunTurn
from history_service.storage.runs import RUN_COLUMNS, UNFINISHED, run_of
from history_service.tables import runs

_NOW = func.clock_timestamp()
_EXPIRED = and_(runs.c.status == "in_progress", runs.c.lease_expires_at <= _NOW)


@dataclass(frozen=True)
class ClaimedRun:
    """A run that a worker now holds, until `expires_at` by the database's clock."""

    run: Run
    turn: RunTurn
    expires_at: datetime


@dataclass(frozen=True)
class RenewedLease:
    """A lease that goes on."""

    user_id: str
    expires_at: datetime
    cancel_requested: bool


class LeaseStore:
    """Claims and leases, within one transaction that acts as the dispatcher."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def end_abandoned(self, max_attempts: int, error: RunError) -> list[str]:
        """End runs whose lease has expired and that nobody shall claim again; returns their ids.

        Those that the user wanted to stop are cancelled, those that have used up their attempts have failed.
        """
        unwanted = runs.c.cancel_requested_at.is_not(None)
        abandoned = (
            select(runs.c.id)
            .where(_EXPIRED, or_(unwanted, runs.c.attempt >= max_attempts))
            .with_for_update(skip_locked=True)
            .cte("abandoned")
            .prefix_with("MATERIALIZED", dialect="postgresql")
        )
        ended = await self._connection.execute(
            update(runs)
            .where(runs.c.id == abandoned.c.id)
            .values(
                status=case((unwanted, "cancelled"), else_="failed"),
                error=case((unwanted, None), else_=literal(error.model_dump(), runs.c.error.type)),
                finished_at=_NOW,
                lease_expires_at=None,
            )
            .returning(runs.c.id)
        )
        return list(ended.scalars())

    async def claim(self, worker_id: str, lease: timedelta) -> ClaimedRun | None:
        """Give the oldest claimable run to a worker: queued, or with an expired lease.

        A run waits while an older one of its conversation is unfinished. Runs that others hold locked are passed over.
        """
        older = runs.alias("older")
        waits = (
            select(older.c.id)
            .where(
                older.c.conversation_id == runs.c.conversation_id,
                older.c.number < runs.c.number,
                older.c.status.in_(UNFINISHED),
            )
            .exists()
        )
        oldest = (
            select(runs.c.id)
            .where(runs.c.status.in_(UNFINISHED), or_(runs.c.status == "queued", _EXPIRED), ~waits)
            .order_by(runs.c.number)
            .limit(1)
            .with_for_update(of=runs, skip_locked=True)
            .cte("oldest")
            .prefix_with("MATERIALIZED", dialect="postgresql")
        )
        claimed = await self._connection.execute(
            update(runs)
            .where(runs.c.id == oldest.c.id)
            .values(
                status="in_progress",
                attempt=runs.c.attempt + 1,
                worker_id=worker_id,
                lease_expires_at=_NOW + lease,
                started_at=func.coalesce(runs.c.started_at, _NOW),
            )
            .returning(*RUN_COLUMNS, runs.c.message_position, runs.c.lease_expires_at)
        )
        row = claimed.mappings().one_or_none()
        if row is None:
            return None
        run = run_of(row)
        return ClaimedRun(run, RunTurn(run.id, row["message_position"]), row["lease_expires_at"])

    async def renew(self, run_id: str, attempt: int, lease: timedelta) -> RenewedLease | None:
        """Renew the lease of an attempt, also a late one that nobody has taken over; None if it is lost."""
        renewed = await self._connection.execute(
            update(runs)
            .where(runs.c.id == run_id, runs.c.attempt == attempt, runs.c.status == "in_progress")
            .values(lease_expires_at=_NOW + lease)
            .returning(runs.c.user_id, runs.c.lease_expires_at, runs.c.cancel_requested_at)
        )
        row = renewed.one_or_none()
        if row is None:
            return None
        return RenewedLease(row.user_id, row.lease_expires_at, row.cancel_requested_at is not None)

    async def release(self, run_id: str, attempt: int) -> bool:
        """Give a run back to the queue, or end it if the user wanted that; False if the lease is lost."""
        unwanted = runs.c.cancel_requested_at.is_not(None)
        released = await self._connection.execute(
            update(runs)
            .where(runs.c.id == run_id, runs.c.attempt == attempt, runs.c.status == "in_progress")
            .values(
                status=case((unwanted, "cancelled"), else_="queued"),
                finished_at=case((unwanted, _NOW), else_=None),
                lease_expires_at=None,
                worker_id=None,
            )
        )
        return released.rowcount > 0
