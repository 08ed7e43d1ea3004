"""Claims runs while there is room, and executes them."""

import asyncio
import os
import socket
import time
from collections import OrderedDict
from contextlib import suppress
from typing import cast

import structlog
from prometheus_client import Counter, Gauge
from redis.exceptions import RedisError

from agent_worker.execution import Execution
from agent_worker.resources import Resources
from agent_worker.settings import Settings
from contracts.redis_keys import CONTROL_CANCEL, RUNS_READY, control_channel
from contracts.runs import Claim
from history_client.errors import HistoryError

log = structlog.get_logger(__name__)

ACTIVE_RUNS = Gauge("threadkeep_worker_active_runs", "Runs that this worker executes now.")
CLAIMS = Counter("threadkeep_worker_claims_total", "Runs claimed.", ["kind"])


CLAIMS_AT_ONCE = 4
"""So many claims may be under way together: one after another, a burst of messages would wait for its last."""

REMEMBERED_CANCELS = 1000


class Worker:
    """One process's share of the runs. `serve` it; `drain` it to stop.

    A wake-up is worth one claim, and so is each poll interval without one; a poll that finds a run is followed by the
    next at once.
    """

    def __init__(self, resources: Resources, settings: Settings) -> None:
        self.id = f"{socket.gethostname()}:{os.getpid()}"
        self._resources = resources
        self._settings = settings
        self._room = asyncio.Semaphore(settings.worker_concurrency)
        self._claiming = asyncio.Semaphore(CLAIMS_AT_ONCE)
        self._wakes: asyncio.Queue[str | None] = asyncio.Queue()
        self._wants_wake = asyncio.Event()
        self._unserved: set[str] = set()
        self._cancelled: OrderedDict[str, None] = OrderedDict()
        self._is_stopping = False
        self._claims: set[asyncio.Task[None]] = set()
        self._active: dict[asyncio.Task[None], Execution] = {}

    @property
    def active_runs(self) -> int:
        """Runs that are being executed now."""
        return len(self._active)

    async def serve(self) -> None:
        """Claim and execute until cancelled. Raises what makes claiming impossible."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen_for_wakes())
            group.create_task(self._listen_for_cancels())
            try:
                await self._claim_forever()
            finally:
                # The listeners look at this besides being cancelled: redis-py can swallow a cancellation that meets
                # the end of a blocking read.
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
        self._wakes.put_nowait(None)
        while True:
            await self._room.acquire()
            await self._claiming.acquire()
            claim = asyncio.create_task(self._claim_one(await self._next_wake()))
            self._claims.add(claim)
            claim.add_done_callback(self._on_claim)

    async def _next_wake(self) -> str | None:
        """Wait until it is time to claim; returns the run that a wake-up named, if one did."""
        self._wants_wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.worker_poll_seconds):
                return await self._wakes.get()
        return None

    async def _claim_one(self, woken_by: str | None) -> None:
        """Claim a run and begin it, or give its room back. An error is logged and counts as no run."""
        sent_at = time.monotonic()
        try:
            claim = await self._resources.history.claim_run(self.id)
        except HistoryError as error:
            log.warning("claim_failed", code=error.code)
            claim = None
        if claim is None:
            self._room.release()
        else:
            CLAIMS.labels("first" if claim.run.attempt == 1 else "retry").inc()
            log.info("run_claimed", run_id=claim.run.id, attempt=claim.run.attempt)
            self._start(claim, sent_at)
            if woken_by is None:
                self._wakes.put_nowait(None)
        if woken_by is not None and (claim is None or claim.run.id != woken_by):
            # It may have to wait for an older run of its conversation.
            self._unserved.add(woken_by)

    def _on_claim(self, task: asyncio.Task[None]) -> None:
        self._claims.discard(task)
        self._claiming.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("claim_crashed", exc_info=error)
            self._room.release()

    def _start(self, claim: Claim, sent_at: float) -> None:
        execution = Execution(claim, self._resources, self._settings, sent_at=sent_at)
        if claim.run.cancel_requested_at or control_channel(claim.run.id) in self._cancelled:
            execution.cancel()
        task = asyncio.create_task(execution.run(), name=claim.run.id)
        self._active[task] = execution
        ACTIVE_RUNS.set(len(self._active))
        task.add_done_callback(self._on_end)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        del self._active[task]
        ACTIVE_RUNS.set(len(self._active))
        self._room.release()
        if self._unserved:
            self._unserved.clear()
            self._wakes.put_nowait(None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("run_crashed", run_id=task.get_name(), exc_info=error)

    async def _listen_for_wakes(self) -> None:
        """Take wake-ups from Redis, one for each claim that can be made. Without Redis, polling finds the runs."""
        while not self._is_stopping:
            await self._wants_wake.wait()
            try:
                popped = cast(
                    "tuple[bytes, bytes] | None",
                    await self._resources.wake_redis.blpop([RUNS_READY], timeout=self._settings.worker_poll_seconds),
                )
            except RedisError as error:
                log.warning("wake_up_read_failed", error=type(error).__name__)
                await asyncio.sleep(self._settings.worker_poll_seconds)
                continue
            if popped is not None:
                self._wants_wake.clear()
                self._wakes.put_nowait(popped[1].decode())

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
