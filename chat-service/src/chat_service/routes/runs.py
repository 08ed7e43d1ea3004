"""Runs: their events, from any point of the log, and their cancellation."""

from fastapi import APIRouter
from starlette.responses import Response

from chat_service.dependencies import CurrentResources, History, RunId, StartCursor
from contracts.runs import Run

router = APIRouter(prefix="/runs")


@router.get("/{run_id}/events", summary="Follow a run's events as server-sent events")
async def get_run_events(run_id: RunId, cursor: StartCursor, history: History, resources: CurrentResources) -> Response:
    """Stream what follows the cursor; ends with the run's terminal event."""
    run = await history.get_run(run_id)
    return resources.stream(history, run, cursor=cursor, run_frames=True)


@router.post("/{run_id}/cancel", summary="Ask a run to end")
async def cancel_run(run_id: RunId, history: History, resources: CurrentResources) -> Run:
    """Return the run; one that a worker executes ends shortly after."""
    return await resources.runs.cancel(history, run_id)
