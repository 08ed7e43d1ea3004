"""The history-service as a worker sees it: claim runs, keep their leases, store their items, end them.

A worker signs for itself only (`runs:work`). For a run's user it acts with the run token that the claim and each
heartbeat hand out. `LeaseLostError` from any method means: this attempt may not go on; stop at once.
"""

from contracts import principal
from contracts.runs import Claim, Claims, Heartbeat, Lease, Run, RunClaim, RunFinish, RunItemsPut
from history_client.calls import path_of
from history_client.tokens import TokenCache
from history_client.transport import DEFAULT_BACKOFF_SECONDS, DEFAULT_RETRIES, HistoryTransport
from service_kit.internal_tokens import TokenSigner
from service_kit.service_client import ServiceClient


class WorkerHistoryClient:
    """The history-service for an agent-worker. `service` is shared and closed by its owner."""

    def __init__(
        self,
        service: ServiceClient,
        signer: TokenSigner,
        *,
        retries: int = DEFAULT_RETRIES,
        backoff_seconds: float = DEFAULT_BACKOFF_SECONDS,
    ) -> None:
        self._transport = HistoryTransport(service, retries=retries, backoff_seconds=backoff_seconds)
        self._tokens = TokenCache(signer)

    async def claim_runs(self, worker_id: str, most: int) -> list[Claim]:
        """Claim the oldest runs that can be executed, at most `most` (1 to MAX_CLAIMS); none, if there is none.

        Not repeated once it was sent: a second claim would take further runs.
        """
        response = await self._transport.send(
            "POST",
            "/runs/claim",
            token=self._tokens.token(principal.RUNS_WORK),
            body=RunClaim(worker_id=worker_id, most=most).model_dump_json(),
            idempotent=False,
        )
        return Claims.model_validate_json(response.content).claims

    async def heartbeat(self, run_id: str, attempt: int) -> Lease:
        """Renew the lease; the answer has a fresh run token and tells whether the user wants the run to stop."""
        response = await self._transport.send(
            "POST",
            path_of("runs", run_id, "heartbeat"),
            token=self._tokens.token(principal.RUNS_WORK),
            body=Heartbeat(attempt=attempt).model_dump_json(),
        )
        return Lease.model_validate_json(response.content)

    async def release_run(self, run_id: str, attempt: int) -> None:
        """Give the run back, so that another worker can claim it at once."""
        await self._transport.send(
            "POST",
            path_of("runs", run_id, "release"),
            token=self._tokens.token(principal.RUNS_WORK),
            body=Heartbeat(attempt=attempt).model_dump_json(),
            idempotent=False,
        )

    async def put_run_items(self, run_id: str, items: RunItemsPut, *, token: str) -> None:
        """Store or replace items of the run, all or nothing, under the run token. They are stored when this returns."""
        path = path_of("runs", run_id, "items")
        await self._transport.send("POST", path, token=token, body=items.model_dump_json())

    async def finish_run(self, run_id: str, finish: RunFinish, *, token: str) -> Run:
        """Store the last items and end the run, in one transaction, under the run token.

        Repeating it with the same attempt and status changes nothing.
        """
        path = path_of("runs", run_id, "finish")
        response = await self._transport.send("POST", path, token=token, body=finish.model_dump_json())
        return Run.model_validate_json(response.content)
