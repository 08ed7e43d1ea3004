"""Runs of one user."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import case, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.pages import Order, Page
from contracts.runs import Run, RunFinish
from history_service.domain import RunTurn
from history_service.errors import InvalidCursorError
from history_service.storage.roles import absent_conversation, absent_run
from history_service.tables import conversations, runs

RUN_COLUMNS = tuple(runs.c[name] for name in Run.model_fields)
UNFINISHED = ("queued", "in_progress")


def run_of(row: Mapping[Any, Any]) -> Run:
    """Return the run that a row of `RUN_COLUMNS` (and maybe more) tells of."""
    return Run.model_validate({name: row[name] for name in Run.model_fields})


class RunStore:
    """The user's runs, within one transaction that acts as the user."""

    def __init__(self, connection: AsyncConnection, user_id: str) -> None:
        self._connection = connection
        self._user_id = user_id

    async def insert(self, run_id: str, conversation_id: str, message_position: int) -> Run:
        """Queue a run. Raises RunForbiddenError if the id is somebody else's."""
        statement = insert(runs).values(
            id=run_id, conversation_id=conversation_id, user_id=self._user_id, message_position=message_position
        )
        run = await self._one(statement.on_conflict_do_nothing(index_elements=["id"]).returning(*RUN_COLUMNS))
        if run is None:
            raise await absent_run(self._connection, run_id)
        return run

    async def find(self, run_id: str) -> Run | None:
        """Return a run, or None."""
        return await self._one(select(*RUN_COLUMNS).where(*self._is(run_id)))

    async def get(self, run_id: str) -> Run:
        """Return a run. Raises its absence."""
        run = await self.find(run_id)
        if run is None:
            raise await absent_run(self._connection, run_id)
        return run

    async def list(
        self, conversation_id: str, limit: int, after: str | None, order: Order, *, active: bool
    ) -> Page[Run]:
        """Return a page in order of creation. Raises the conversation's absence, InvalidCursorError."""
        in_conversation = (runs.c.conversation_id == conversation_id, runs.c.user_id == self._user_id)
        statement = select(*RUN_COLUMNS).where(*in_conversation).limit(limit + 1)
        if active:
            statement = statement.where(runs.c.status.in_(UNFINISHED))
        if after is not None:
            seen = await self._connection.scalar(select(runs.c.number).where(*in_conversation, runs.c.id == after))
            if seen is None:
                await self._require_conversation(conversation_id)
                raise InvalidCursorError()
            statement = statement.where(runs.c.number > seen if order == "asc" else runs.c.number < seen)
        statement = statement.order_by(runs.c.number.asc() if order == "asc" else runs.c.number.desc())
        rows = (await self._connection.execute(statement)).mappings().all()
        if not rows:
            await self._require_conversation(conversation_id)
        data = [run_of(row) for row in rows[:limit]]
        return Page(data=data, has_more=len(rows) > limit, after=data[-1].id if data else None)

    async def cancel(self, run_id: str) -> Run | None:
        """Ask an unfinished run to end; None if there is no such one.

        A queued run ends at once, and so does one whose lease has expired: its worker cannot write any more.
        """
        now = func.clock_timestamp()
        ends = (runs.c.status == "queued") | (runs.c.lease_expires_at <= now)
        statement = update(runs).where(*self._is(run_id), runs.c.status.in_(UNFINISHED))
        return await self._one(
            statement.values(
                cancel_requested_at=func.coalesce(runs.c.cancel_requested_at, now),
                status=case((ends, "cancelled"), else_=runs.c.status),
                finished_at=case((ends, now), else_=None),
                lease_expires_at=case((ends, None), else_=runs.c.lease_expires_at),
            ).returning(*RUN_COLUMNS)
        )

    async def hold(self, run_id: str, attempt: int) -> tuple[str, RunTurn] | None:
        """Keep the run with this attempt until the transaction ends: no claim can take it meanwhile.

        Returns its conversation and its place there; None if the attempt is not the current one, or has ended.
        """
        statement = (
            select(runs.c.conversation_id, runs.c.message_position)
            .where(*self._is(run_id), runs.c.attempt == attempt, runs.c.status == "in_progress")
            .with_for_update()
        )
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else (row.conversation_id, RunTurn(run_id, row.message_position))

    async def finish(self, run_id: str, finish: RunFinish) -> Run:
        """End a run that this transaction holds."""
        ended = await self._one(
            update(runs)
            .where(*self._is(run_id))
            .values(
                status=finish.status,
                error=finish.error.model_dump() if finish.error else None,
                usage=finish.usage.model_dump() if finish.usage else None,
                finished_at=func.clock_timestamp(),
                lease_expires_at=None,
            )
            .returning(*RUN_COLUMNS)
        )
        if ended is None:
            raise await absent_run(self._connection, run_id)
        return ended

    async def _require_conversation(self, conversation_id: str) -> None:
        owned = select(conversations.c.id).where(
            conversations.c.id == conversation_id, conversations.c.user_id == self._user_id
        )
        if await self._connection.scalar(owned) is None:
            raise await absent_conversation(self._connection, conversation_id)

    async def _one(self, statement: Any) -> Run | None:
        row = (await self._connection.execute(statement)).mappings().one_or_none()
        return None if row is None else run_of(row)

    def _is(self, run_id: str) -> tuple[Any, Any]:
        return runs.c.id == run_id, runs.c.user_id == self._user_id
