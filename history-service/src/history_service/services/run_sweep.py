"""What the sweeper ends: runs that no worker will end, also when no worker is left."""

from collections.abc import Awaitable, Callable

import structlog

from history_service.domain import expired_error, max_attempts_error
from history_service.services.endings import MAX_ENDED, settle_all
from history_service.settings import Settings
from history_service.storage.leases import LeaseStore
from history_service.storage.roles import DISPATCH_ROLE
from history_service.storage.runs import PlacedRun
from service_kit.database import Database
from service_kit.sweeper import SweepJob, Swept

log = structlog.get_logger(__name__)

_End = Callable[[LeaseStore], Awaitable[list[PlacedRun]]]


def run_jobs(settings: Settings, database: Database) -> list[SweepJob]:
    """Return the jobs that end runs."""
    sweep = RunSweep(database, settings)
    return [SweepJob("abandoned_runs", sweep.end_abandoned), SweepJob("expired_runs", sweep.end_expired)]


class RunSweep:
    """Ends runs, a bounded batch at a time. What another instance or a claim has locked is passed over."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._max_attempts = settings.run_max_attempts
        self._expiry = settings.run_expiry

    async def end_abandoned(self) -> Swept:
        """End runs whose lease has expired in the last attempt, or after the user wanted them to stop."""
        error = max_attempts_error(self._max_attempts)
        return await self._end(
            lambda leases: leases.end_abandoned(self._max_attempts, error, MAX_ENDED), "run_abandoned"
        )

    async def end_expired(self) -> Swept:
        """End runs that were created too long ago and that no worker holds."""
        return await self._end(
            lambda leases: leases.end_expired(self._expiry, expired_error(), MAX_ENDED), "run_expired"
        )

    async def _end(self, end: _End, event: str) -> Swept:
        async with self._database.transaction(DISPATCH_ROLE) as transaction:
            ended = await end(LeaseStore(transaction))
            await settle_all(transaction, ended)
        for placed in ended:
            log.warning(event, run=placed.run.id, attempt=placed.run.attempt, status=placed.run.status)
        return Swept(len(ended), more=len(ended) == MAX_ENDED)
