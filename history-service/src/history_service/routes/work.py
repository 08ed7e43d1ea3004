"""Runs as workers see them: claim, heartbeat, release (as a service); items and finish (with the run token)."""

from fastapi import APIRouter
from starlette.responses import Response

from contracts.principal import RUNS_WORK
from contracts.runs import Claim, Heartbeat, Lease, Run, RunClaim, RunFinish, RunItemsPut
from history_service.dependencies import HoldsRunToken, Leases, RunDecisions, RunId, StorableBody, scope

WORK = [scope(RUNS_WORK, user=False), StorableBody]
IN_RUN = [HoldsRunToken, StorableBody]

router = APIRouter(prefix="/runs", tags=["work"])


@router.post(
    "/claim",
    dependencies=WORK,
    summary="Claim the oldest run that can be executed",
    response_model=Claim,
    responses={204: {"description": "There is none"}},
)
async def claim_run(claim: RunClaim, leases: Leases) -> Claim | Response:
    """Return the run with its context and run token, or 204."""
    return await leases.claim(claim.worker_id) or Response(status_code=204)


@router.post("/{run_id}/heartbeat", dependencies=WORK, summary="Renew a lease")
async def heartbeat(run_id: RunId, beat: Heartbeat, leases: Leases) -> Lease:
    """Renew the lease of the attempt and its run token. 409 if the attempt has lost the run."""
    return await leases.renew(run_id, beat.attempt)


@router.post("/{run_id}/release", status_code=204, dependencies=WORK, summary="Give a run back")
async def release_run(run_id: RunId, beat: Heartbeat, leases: Leases) -> None:
    """Put the run back into the queue, so that another worker can claim it at once."""
    await leases.release(run_id, beat.attempt)


@router.post("/{run_id}/items", status_code=204, dependencies=IN_RUN, summary="Store items of a run")
async def put_run_items(run_id: RunId, put: RunItemsPut, runs: RunDecisions) -> None:
    """Append or replace items, all or nothing. 409 unless the attempt holds the run."""
    await runs.put_items(run_id, put)


@router.post("/{run_id}/finish", dependencies=IN_RUN, summary="End a run")
async def finish_run(run_id: RunId, finish: RunFinish, runs: RunDecisions) -> Run:
    """Store the last items and end the run. 409 unless the attempt holds the run."""
    return await runs.finish(run_id, finish)
