"""Runs of everybody: claimed, kept and given back by workers, and watched."""

from datetime import timedelta
from itertools import groupby

import structlog

from contracts.runs import TERMINAL_STATUSES, Claim, Lease, RunStanding
from history_service.domain import max_attempts_error
from history_service.errors import LeaseLostError
from history_service.services.endings import MAX_ENDED, settle_all
from history_service.services.run_tokens import RunTokens
from history_service.storage.leases import ClaimedRun, LeaseStore
from history_service.storage.messages import MessageStore
from history_service.storage.roles import DISPATCH_ROLE, USER_ROLE
from service_kit.database import Transaction

log = structlog.get_logger(__name__)


class LeaseService:
    """Hands out runs to workers, within one transaction that begins as the dispatcher."""

    def __init__(
        self,
        transaction: Transaction,
        tokens: RunTokens,
        *,
        lease: timedelta,
        max_attempts: int,
        context_messages: int,
    ) -> None:
        self._transaction = transaction
        self._leases = LeaseStore(transaction)
        self._tokens = tokens
        self._lease = lease
        self._max_attempts = max_attempts
        self._context_messages = context_messages

    async def claim(self, worker_id: str, most: int) -> list[Claim]:
        """Give the oldest runs that can be executed to the worker, with all it needs for them; at most `most`.

        If there is none, first ends the runs that were abandoned for good, which may free the ones queued behind them.
        While the workers have enough to do, the sweeper does that.
        """
        claimed = await self._leases.claim(worker_id, self._lease, self._max_attempts, most)
        if not claimed and await self._end_abandoned():
            claimed = await self._leases.claim(worker_id, self._lease, self._max_attempts, most)
        claims: dict[str, Claim] = {}
        for user_id, theirs in groupby(sorted(claimed, key=_user_of), key=_user_of):
            await self._transaction.assume(USER_ROLE, user_id)
            for each in theirs:
                claims[each.placed.run.id] = await self._as_user(each)
        for each in claimed:
            run = each.placed.run
            log.info("run_claimed", run=run.id, attempt=run.attempt, worker=worker_id)
        return [claims[each.placed.run.id] for each in claimed]

    async def renew(self, run_id: str, attempt: int) -> Lease:
        """Renew the lease of the attempt that holds the run. Raises LeaseLostError for any other."""
        renewed = await self._leases.renew(run_id, attempt, self._lease)
        if renewed is None:
            raise LeaseLostError()
        return Lease(
            token=self._tokens.issue(run_id, renewed.user_id),
            lease_expires_at=renewed.expires_at,
            cancel_requested=renewed.cancel_requested,
        )

    async def release(self, run_id: str, attempt: int) -> None:
        """Give the run back to the queue, or end it if the user wants that.

        Raises LeaseLostError if the attempt does not hold it.
        """
        released = await self._leases.release(run_id, attempt)
        if released is None:
            raise LeaseLostError()
        if released.run.status in TERMINAL_STATUSES:
            await settle_all(self._transaction, [released])
        log.info("run_released", run=run_id, attempt=attempt, status=released.run.status)

    async def standings(self, run_ids: list[str]) -> list[RunStanding]:
        """Tell how far these runs have come; those that are not there are left out."""
        return await self._leases.standings(run_ids)

    async def _end_abandoned(self) -> bool:
        """End the runs whose lease has expired and that nobody shall claim again; tell whether there was one."""
        error = max_attempts_error(self._max_attempts)
        abandoned = await self._leases.end_abandoned(self._max_attempts, error, MAX_ENDED)
        if not abandoned:
            return False
        await settle_all(self._transaction, abandoned)
        await self._transaction.assume(DISPATCH_ROLE, None)
        for ended in abandoned:
            log.warning("run_abandoned", run=ended.run.id, attempt=ended.run.attempt, status=ended.run.status)
        return True

    async def _as_user(self, claimed: ClaimedRun) -> Claim:
        run = claimed.placed.run
        messages = MessageStore(self._transaction, run.user_id)
        conversation, context = await messages.context(run.conversation_id, claimed.placed.turn, self._context_messages)
        return Claim(
            run=run,
            conversation=conversation,
            context=context,
            token=self._tokens.issue(run.id, run.user_id),
            lease_expires_at=claimed.expires_at,
            elapsed_seconds=claimed.elapsed_seconds,
        )


def _user_of(claimed: ClaimedRun) -> str:
    return claimed.placed.run.user_id
