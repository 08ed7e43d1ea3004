"""Runs from the workers' side: claimed, kept and given back."""

from datetime import timedelta

import structlog

from contracts.principal import RUNS_ITEMS, TASKS
from contracts.runs import TERMINAL_STATUSES, Claim, Lease
from history_service.domain import max_attempts_error, run_token_seconds
from history_service.errors import LeaseLostError
from history_service.services.endings import MAX_ENDED, settle_all
from history_service.storage.conversations import ConversationStore
from history_service.storage.leases import ClaimedRun, LeaseStore
from history_service.storage.messages import MessageStore
from history_service.storage.roles import DISPATCH_ROLE, USER_ROLE
from service_kit.database import Transaction
from service_kit.internal_tokens import TokenSigner

RUN_TOKEN_AUDIENCE = ("history-service", "task-tools")
RUN_TOKEN_SCOPES = (RUNS_ITEMS, TASKS)

log = structlog.get_logger(__name__)


class LeaseService:
    """Hands out runs to workers, within one transaction that begins as the dispatcher."""

    def __init__(
        self,
        transaction: Transaction,
        signer: TokenSigner,
        *,
        lease: timedelta,
        max_attempts: int,
        context_messages: int,
    ) -> None:
        self._transaction = transaction
        self._leases = LeaseStore(transaction)
        self._signer = signer
        self._lease = lease
        self._max_attempts = max_attempts
        self._context_messages = context_messages

    async def claim(self, worker_id: str) -> Claim | None:
        """Give the oldest run that can be executed to the worker, with all it needs for it; None if there is none.

        If there is none, first ends the runs that were abandoned for good, which may free the ones queued behind them.
        While the workers have enough to do, the sweeper does that.
        """
        claimed = await self._leases.claim(worker_id, self._lease, self._max_attempts)
        if claimed is None and await self._end_abandoned():
            claimed = await self._leases.claim(worker_id, self._lease, self._max_attempts)
        if claimed is None:
            return None
        run = claimed.placed.run
        log.info("run_claimed", run=run.id, attempt=run.attempt, worker=worker_id)
        return await self._as_user(claimed)

    async def renew(self, run_id: str, attempt: int) -> Lease:
        """Renew the lease of the attempt that holds the run. Raises LeaseLostError for any other."""
        renewed = await self._leases.renew(run_id, attempt, self._lease)
        if renewed is None:
            raise LeaseLostError()
        return Lease(
            token=self._token(run_id, renewed.user_id),
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
        await self._transaction.assume(USER_ROLE, run.user_id)
        conversation = await ConversationStore(self._transaction, run.user_id).get(run.conversation_id)
        messages = MessageStore(self._transaction, run.user_id)
        return Claim(
            run=run,
            conversation=conversation,
            context=await messages.context(run.conversation_id, claimed.placed.turn, self._context_messages),
            token=self._token(run.id, run.user_id),
            lease_expires_at=claimed.expires_at,
            elapsed_seconds=claimed.elapsed_seconds,
        )

    def _token(self, run_id: str, user_id: str) -> str:
        return self._signer.sign(
            RUN_TOKEN_AUDIENCE,
            RUN_TOKEN_SCOPES,
            user_id=user_id,
            run_id=run_id,
            seconds=run_token_seconds(self._lease),
        )
