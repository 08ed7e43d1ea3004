"""Claims runs while there is room, and executes them."""

import asyncio
import os
import socket
import time
from collections import OrderedDict
from typing import cast

import structlog
from prometheus_client import Counter, Gauge
from redis.exceptions import RedisError

from agent_worker.execution import Execution
from agent_worker.resources import Resources
from agent_worker.settings import Settings
from agent_worker.wakes import Wakes
from contracts.redis_keys import CONTROL_CANCEL, control_channel
from contracts.runs import Claim
from history_client.errors import HistoryError

log = structlog.get_logger(__name__)

ACTIVE_RUNS = Gauge("threadkeep_worker_active_runs", "Runs that this worker executes now.")
CLAIMS = Counter("threadkeep_worker_claims_total", "Runs claimed.", ["kind"])


RUNS_AT_ONCE = 8
"""So many runs are claimed by one request at most, and never more than half of the room: a worker that is as free gets
as many of a burst. More would cost hardly less, and make the first of them wait for the last."""

CLAIMS_AT_ONCE = 2
"""So many claims may be under way together. What becomes ready meanwhile goes with the next, which makes one request of
many in a crowd; the second is there for when the first is not answered."""

STARTING_SECONDS = 0.25
"""How long runs that were claimed keep others from being claimed while they have not asked their model. In a crowd this
is the time that the processor needs: runs begin one after another, and not all of them late. A run that waits for
something else, like its tools, is not waited for longer."""

REMEMBERED_CANCELS = 1000


class Worker:
    """One process's share of the runs. `serve` it; `drain` it to stop.

    A wake-up is worth one run, and each poll interval without one is worth a poll; a poll that finds runs is followed
    by the next at once.
    """

    def __init__(self, resources: Resources, settings: Settings) -> None:
        self.id = f"{socket.gethostname()}:{os.getpid()}"
        self._resources = resources
        self._settings = settings
        self._wakes = Wakes(resources.wake_redis, poll_seconds=settings.worker_poll_seconds)
        self._unserved: set[str] = set()
        self._cancelled: OrderedDict[str, None] = OrderedDict()
        self._is_stopping = False
        self._claims: dict[asyncio.Task[None], int] = {}
        """Claims under way, each with how many runs it asks for."""
        self._starting: set[Execution] = set()
        self._active: dict[asyncio.Task[None], Execution] = {}
        self._may_claim = asyncio.Event()

    @property
    def active_runs(self) -> int:
        """Runs that are being executed now."""
        return len(self._active)

    async def serve(self) -> None:
        """Claim and execute until cancelled. Raises what makes claiming impossible."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._wakes.listen())
            group.create_task(self._listen_for_cancels())
            try:
                await self._claim_forever()
            finally:
                self._wakes.stop()
                self._is_stopping = True

    async def drain(self, seconds: float) -> None:
        """Let active runs end within `seconds`, then give the others back. Call it when `serve` has been cancelled."""
        if self._claims:
            # A claim whose answer nobody reads would keep its run until the lease expires.
            await asyncio.wait(self._claims)
        tasks = set(self._active)
        if not tasks:
            return
        log.info("worker_draining", runs=len(tasks))
        _, unfinished = await asyncio.wait(tasks, timeout=seconds)
        for task in unfinished:
            self._active[task].release()
        if unfinished:
            await asyncio.wait(unfinished, timeout=self._settings.run_lease_seconds)

    async def _claim_forever(self) -> None:
        self._wakes.poll()
        while True:
            self._reckon()
            await self._may_claim.wait()
            most = min(RUNS_AT_ONCE, (self._room + 1) // 2)
            wakes = await self._wakes.next(most)
            await self._may_claim.wait()
            most = len(wakes) or most
            claim = asyncio.create_task(self._claim(wakes, most))
            self._claims[claim] = most
            claim.add_done_callback(self._on_claim)

    @property
    def _room(self) -> int:
        """Runs that can be claimed besides those that are active or may come with the claims under way."""
        return self._settings.worker_concurrency - len(self._active) - sum(self._claims.values())

    def _reckon(self) -> None:
        """Tell `_claim_forever` whether it may go on."""
        if self._room > 0 and len(self._claims) < CLAIMS_AT_ONCE and not self._starting:
            self._may_claim.set()
        else:
            self._may_claim.clear()

    async def _claim(self, wakes: list[str], most: int) -> None:
        """Claim runs and begin them. An error is logged and counts as no run."""
        sent_at = time.monotonic()
        try:
            claims = await self._resources.history.claim_runs(self.id, most)
        except HistoryError as error:
            log.warning("claim_failed", code=error.code)
            claims = []
        started = [self._start(claim, sent_at) for claim in claims]
        self._reckon()
        asyncio.get_running_loop().call_later(STARTING_SECONDS, self._have_started, *started)
        if claims and not wakes:
            self._wakes.poll()
        # What a wake-up named and no claim has brought may have to wait for an older run of its conversation.
        self._unserved.update(wakes)
        self._unserved.difference_update(execution.run_id for execution in self._active.values())

    def _on_claim(self, task: asyncio.Task[None]) -> None:
        del self._claims[task]
        self._reckon()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("claim_crashed", exc_info=error)

    def _start(self, claim: Claim, sent_at: float) -> Execution:
        CLAIMS.labels("first" if claim.run.attempt == 1 else "retry").inc()
        log.info("run_claimed", run_id=claim.run.id, attempt=claim.run.attempt)
        execution = Execution(
            claim, self._resources, self._settings, sent_at=sent_at, on_model_asked=self._have_started
        )
        if claim.run.cancel_requested_at or control_channel(claim.run.id) in self._cancelled:
            execution.cancel()
        task = asyncio.create_task(execution.run(), name=claim.run.id)
        self._active[task] = execution
        self._starting.add(execution)
        ACTIVE_RUNS.set(len(self._active))
        task.add_done_callback(self._on_end)
        return execution

    def _have_started(self, *executions: Execution) -> None:
        self._starting.difference_update(executions)
        self._reckon()

    def _on_end(self, task: asyncio.Task[None]) -> None:
        self._have_started(self._active.pop(task))
        ACTIVE_RUNS.set(len(self._active))
        if self._unserved:
            self._unserved.clear()
            self._wakes.poll()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("run_crashed", run_id=task.get_name(), exc_info=error)

    async def _listen_for_cancels(self) -> None:
        """Hear which runs shall end. Without Redis, the next heartbeat tells."""
        while not self._is_stopping:
            try:
                async with self._resources.wake_redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.psubscribe(control_channel("*"))
                    while not self._is_stopping:
                        message = cast(
                            "dict[str, bytes] | None",
                            await pubsub.get_message(timeout=self._settings.worker_poll_seconds),
                        )
                        if message is not None and message["data"] == CONTROL_CANCEL:
                            self._cancel(message["channel"].decode())
            except RedisError as error:
                log.warning("cancel_read_failed", error=type(error).__name__)
                await asyncio.sleep(self._settings.worker_poll_seconds)

    def _cancel(self, channel: str) -> None:
        # It may be of a run whose claim is under way.
        self._cancelled[channel] = None
        if len(self._cancelled) > REMEMBERED_CANCELS:
            self._cancelled.popitem(last=False)
        for execution in self._active.values():
            if control_channel(execution.run_id) == channel:
                execution.cancel()
