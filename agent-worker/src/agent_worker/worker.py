"""Claims runs while there is room, and executes them."""

import asyncio
import os
import socket
import time
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


class Worker:
    """One process's share of the runs. `serve` it; `drain` it to stop."""

    def __init__(self, resources: Resources, settings: Settings) -> None:
        self.id = f"{socket.gethostname()}:{os.getpid()}"
        self._resources = resources
        self._settings = settings
        self._room = asyncio.Semaphore(settings.worker_concurrency)
        self._wake = asyncio.Event()
        self._is_stopping = False
        self._active: dict[asyncio.Task[None], Execution] = {}

    @property
    def active_runs(self) -> int:
        """Runs that are being executed now."""
        return len(self._active)

    async def serve(self) -> None:
        """Claim and execute until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen_for_wakes())
            group.create_task(self._listen_for_cancels())
            try:
                await self._claim_forever()
            finally:
                # The listeners look at this besides being cancelled: redis-py can swallow a cancellation that meets
                # the end of a blocking read.
                self._is_stopping = True

    async def _claim_forever(self) -> None:
        while True:
            await self._room.acquire()
            sent_at = time.monotonic()
            claim = await self._claim()
            if claim is None:
                self._room.release()
                await self._wait_for_work()
            else:
                self._start(claim, sent_at)

    async def drain(self, seconds: float) -> None:
        """Let active runs end within `seconds`, then give the others back. Call it when `serve` has been cancelled."""
        tasks = set(self._active)
        if not tasks:
            return
        log.info("worker_draining", runs=len(tasks))
        _, unfinished = await asyncio.wait(tasks, timeout=seconds)
        for task in unfinished:
            self._active[task].release()
        if unfinished:
            await asyncio.wait(unfinished, timeout=self._settings.run_lease_seconds)

    async def _claim(self) -> Claim | None:
        """Ask for a run; an error is logged and counts as none, so that it is asked again after the poll interval."""
        try:
            claim = await self._resources.history.claim_run(self.id)
        except HistoryError as error:
            log.warning("claim_failed", code=error.code)
            return None
        if claim is not None:
            CLAIMS.labels("first" if claim.run.attempt == 1 else "retry").inc()
            log.info("run_claimed", run_id=claim.run.id, attempt=claim.run.attempt)
        return claim

    def _start(self, claim: Claim, sent_at: float) -> None:
        resources = self._resources
        execution = Execution(
            claim,
            sent_at=sent_at,
            history=resources.history,
            redis=resources.redis,
            tools=resources.tools,
            model=resources.model,
            settings=self._settings,
        )
        task = asyncio.create_task(execution.run(), name=claim.run.id)
        self._active[task] = execution
        ACTIVE_RUNS.set(len(self._active))
        task.add_done_callback(self._on_end)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        del self._active[task]
        ACTIVE_RUNS.set(len(self._active))
        self._room.release()
        # The conversation's next run may have been waiting for this one.
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("run_crashed", run_id=task.get_name(), exc_info=error)

    async def _wait_for_work(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.worker_poll_seconds):
                await self._wake.wait()
        self._wake.clear()

    async def _listen_for_wakes(self) -> None:
        """Take wake-ups from Redis. Without Redis, polling alone finds the runs."""
        while not self._is_stopping:
            try:
                if await self._resources.wake_redis.blpop([RUNS_READY], timeout=self._settings.worker_poll_seconds):
                    self._wake.set()
            except RedisError as error:
                log.warning("wake_up_read_failed", error=type(error).__name__)
                await asyncio.sleep(self._settings.worker_poll_seconds)

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
        for execution in self._active.values():
            if control_channel(execution.run_id) == channel:
                execution.cancel()
