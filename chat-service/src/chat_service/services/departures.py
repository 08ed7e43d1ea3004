"""What becomes of a run whose client leaves before its end: nothing, or, by `DISCONNECT_POLICY`, its cancellation."""

import asyncio

import structlog
from redis.exceptions import RedisError

from chat_service.services.runs import RunNotices
from contracts.runs import Run
from history_client import HistoryError, UserHistory

log = structlog.get_logger(__name__)


class Departures:
    """Cancels runs that nobody reads any more after a grace period, as the user who left; without one, none.

    A departure is forgotten with the process: a shutdown cancels no run. While Redis is away nobody knows whether other
    instances have readers, and no run is cancelled.
    """

    def __init__(self, runs: RunNotices, grace_seconds: float | None) -> None:
        self._runs = runs
        self._grace_seconds = grace_seconds
        self._waiting: dict[str, asyncio.Task[None]] = {}

    def note(self, history: UserHistory, run: Run) -> None:
        """Take notice that a reader of the run has left; the grace period begins anew with each."""
        if self._grace_seconds is None:
            return
        if earlier := self._waiting.get(run.id):
            earlier.cancel()
        task = asyncio.create_task(self._wait(history, run.id, self._grace_seconds), name=f"departure-{run.id}")
        self._waiting[run.id] = task
        task.add_done_callback(lambda done: self._forget(run.id, done))

    @property
    def count(self) -> int:
        """Departures whose grace period has not ended."""
        return len(self._waiting)

    async def aclose(self) -> None:
        """Forget all departures."""
        tasks = list(self._waiting.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, run_id: str, task: asyncio.Task[None]) -> None:
        if self._waiting.get(run_id) is task:
            del self._waiting[run_id]

    async def _wait(self, history: UserHistory, run_id: str, grace_seconds: float) -> None:
        await asyncio.sleep(grace_seconds)
        try:
            if await self._runs.has_readers(run_id):
                return
            run = await self._runs.cancel(history, run_id)
            log.info("run_cancelled_by_departure", run_id=run_id, status=run.status)
        except (HistoryError, RedisError) as error:
            log.warning("departure_failed", run_id=run_id, error=type(error).__name__)
