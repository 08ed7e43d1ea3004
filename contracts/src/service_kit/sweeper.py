"""The sweeper: deletes or ends in the background what has expired, in bounded jobs.

Only services with a database import this module.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from prometheus_client import Counter

from service_kit.database_problems import is_unavailable

SWEPT = Counter(
    "threadkeep_swept_total",
    "What the sweeper has deleted or ended, by the job that did it.",
    ["job"],
)
FAILURES = Counter("threadkeep_sweep_failures_total", "Jobs of the sweeper that failed.", ["job"])

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Swept:
    """What one bounded batch has deleted or ended, and whether there is more to do at once."""

    rows: int
    more: bool


@dataclass(frozen=True)
class SweepJob:
    """Something to keep small. `run` does one bounded batch; several instances may call it at the same time."""

    name: str
    run: Callable[[], Awaitable[Swept]]


class Sweeper:
    """Runs its jobs one after the other, each until nothing is left, and rests in between."""

    def __init__(self, jobs: Sequence[SweepJob], interval_seconds: float) -> None:
        self._jobs = jobs
        self._interval_seconds = interval_seconds
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """End the rest: there is something to do."""
        self._woken.set()

    async def sweep(self) -> None:
        """Run every job until nothing is left. A job that fails is left for the next time; the others go on."""
        for job in self._jobs:
            try:
                await self._run(job)
            except Exception as error:
                FAILURES.labels(job.name).inc()
                if is_unavailable(error):
                    log.warning("sweep_failed", job=job.name, error=type(error).__name__)
                else:
                    log.error("sweep_failed", job=job.name, exc_info=error)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Sweep in the background. At the end, a batch that is under way is rolled back."""
        task = asyncio.create_task(self._sweep_again_and_again())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _sweep_again_and_again(self) -> None:
        while True:
            self._woken.clear()
            await self.sweep()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval_seconds):
                    await self._woken.wait()

    async def _run(self, job: SweepJob) -> None:
        while True:
            swept = await job.run()
            SWEPT.labels(job.name).inc(swept.rows)
            if not swept.more:
                return
