"""The worker's hold on a run: renewed while it works, given up the moment that it cannot be renewed."""

import asyncio
import time
from collections.abc import Callable

import structlog

from agent_worker.stopping import cancel
from contracts.runs import Claim
from history_client.errors import HistoryError, LeaseLostError
from history_client.worker import WorkerHistoryClient

log = structlog.get_logger(__name__)

RENEWALS_PER_LEASE = 3


class Lease:
    """A claimed run's lease. `token` is the newest run token.

    Time is this process's monotonic clock from the moment that the claim was sent, so that the worker always stops
    before the history-service, whose lease began later, gives the run to somebody else.
    """

    def __init__(
        self,
        claim: Claim,
        history: WorkerHistoryClient,
        *,
        seconds: float,
        sent_at: float,
        on_renewed: Callable[[], None],
        on_lost: Callable[[], None],
        on_cancel: Callable[[], None],
    ) -> None:
        self.token = claim.token
        self._run_id = claim.run.id
        self._attempt = claim.run.attempt
        self._history = history
        self._seconds = seconds
        self._expires_at = sent_at + seconds
        self._on_renewed = on_renewed
        self._on_lost = on_lost
        self._on_cancel = on_cancel
        self._timer: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Task[None] | None = None

    def keep(self) -> None:
        """Renew until `end`, and call `on_renewed` each time.

        Calls `on_lost` and ends when the lease is lost, `on_cancel` when the user wants the run to stop. Most runs end
        before the first renewal: until then this is a timer, and no task.
        """
        self._timer = asyncio.get_running_loop().call_later(self._seconds / RENEWALS_PER_LEASE, self._start_renewing)

    async def end(self) -> None:
        """Renew no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._renewing is not None:
            await cancel(self._renewing)

    def _start_renewing(self) -> None:
        self._renewing = asyncio.create_task(self._renew_again_and_again())

    async def _renew_again_and_again(self) -> None:
        while await self._renew():
            self._on_renewed()
            await asyncio.sleep(self._seconds / RENEWALS_PER_LEASE)
        self._on_lost()

    async def _renew(self) -> bool:
        """Renew, trying for as long as the lease lasts; tell whether it holds."""
        while (left := self._expires_at - time.monotonic()) > 0:
            sent_at = time.monotonic()
            try:
                async with asyncio.timeout(left):
                    lease = await self._history.heartbeat(self._run_id, self._attempt)
            except LeaseLostError:
                return False
            except (HistoryError, TimeoutError) as error:
                log.warning("lease_renewal_failed", run_id=self._run_id, error=type(error).__name__)
                await asyncio.sleep(min(left, self._seconds / RENEWALS_PER_LEASE / 5))
                continue
            self.token = lease.token
            self._expires_at = sent_at + self._seconds
            if lease.cancel_requested:
                self._on_cancel()
            return True
        return False
