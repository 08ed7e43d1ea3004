"""Runs of everybody, as services see them: claim, heartbeat, release, standings; items and finish with a run token."""

from fastapi import APIRouter

from contracts.runs import (
    Claims,
    Heartbeat,
    Lease,
    Run,
    RunClaim,
    RunFinish,
    RunItemsPut,
    RunStandings,
    RunStandingsAsked,
)
from history_service.dependencies import RunHolder, RunId, Watcher, Worker
from history_service.errors import AttemptStaleError, ItemConflictError, LeaseLostError, RunFinishedError
from history_service.json_route import JsonRoute
from history_service.services.runs import RunService
from service_kit.openapi import raises

router = APIRouter(prefix="/runs", tags=["work"], route_class=JsonRoute)


@router.post("/claim", summary="Claim the oldest runs that can be executed")
async def claim_runs(claim: RunClaim, worker: Worker) -> Claims:
    """Return the runs, oldest first, each with its context and run token; no two of them are of one conversation."""
    async with worker.transaction() as leases:
        return Claims(claims=await leases.claim(claim.worker_id, claim.most))


@router.post("/standings", summary="Tell how far runs have come")
async def get_standings(asked: RunStandingsAsked, watcher: Watcher) -> RunStandings:
    """Return status and attempt of each run that is there. For the readers of runs that they were let see before."""
    async with watcher.transaction() as leases:
        return RunStandings(runs=await leases.standings(asked.ids))


@router.post("/{run_id}/heartbeat", summary="Renew a lease", responses=raises(LeaseLostError))
async def heartbeat(run_id: RunId, beat: Heartbeat, worker: Worker) -> Lease:
    """Renew the lease of the attempt and its run token. 409 if the attempt has lost the run."""
    async with worker.transaction() as leases:
        return await leases.renew(run_id, beat.attempt)


@router.post("/{run_id}/release", status_code=204, summary="Give a run back", responses=raises(LeaseLostError))
async def release_run(run_id: RunId, beat: Heartbeat, worker: Worker) -> None:
    """Put the run back into the queue, so that another worker can claim it at once."""
    async with worker.transaction() as leases:
        await leases.release(run_id, beat.attempt)


@router.post(
    "/{run_id}/items",
    status_code=204,
    summary="Store items of a run",
    responses=raises(AttemptStaleError, ItemConflictError),
)
async def put_run_items(run_id: RunId, put: RunItemsPut, holder: RunHolder) -> None:
    """Append or replace items, all or nothing. 409 unless the attempt holds the run."""
    async with holder.transaction() as history:
        await RunService(history).put_items(run_id, put)


@router.post(
    "/{run_id}/finish",
    summary="End a run",
    responses=raises(AttemptStaleError, RunFinishedError, ItemConflictError),
)
async def finish_run(run_id: RunId, finish: RunFinish, holder: RunHolder) -> Run:
    """Store the last items and end the run. 409 unless the attempt holds the run."""
    async with holder.transaction() as history:
        return await RunService(history).finish(run_id, finish)
