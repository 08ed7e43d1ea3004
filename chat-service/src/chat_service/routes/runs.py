"""Runs: their state, their events from any point of the log, and their cancellation."""

from fastapi import APIRouter
from starlette.responses import Response

from chat_service.dependencies import CurrentResources, History, RunId, StartCursor, ThreadPrincipal
from chat_service.services.restriction import get_run
from chat_service.stream_route import StreamRoute
from contracts.runs import Run
from service_kit.openapi import problem_document

router = APIRouter(
    prefix="/runs", route_class=StreamRoute, responses={status: problem_document(status) for status in (403, 404)}
)


@router.get("/{run_id}", summary="Get a run")
async def get_one_run(run_id: RunId, caller: ThreadPrincipal, history: History) -> Run:
    """Return the run; for callers that are kept to one thread, whom the history-service does not serve."""
    return await get_run(history, run_id, caller.thread_id)


@router.get("/{run_id}/events", summary="Follow a run's events as server-sent events")
async def get_run_events(
    run_id: RunId, cursor: StartCursor, caller: ThreadPrincipal, history: History, resources: CurrentResources
) -> Response:
    """Stream what follows the cursor; ends with the run's terminal event."""
    run = await get_run(history, run_id, caller.thread_id)
    return resources.stream(history, run, cursor=cursor, run_frames=True)


@router.post("/{run_id}/cancel", summary="Ask a run to end")
async def cancel_run(run_id: RunId, caller: ThreadPrincipal, history: History, resources: CurrentResources) -> Run:
    """Return the run; one that a worker executes ends shortly after."""
    if caller.thread_id is not None:
        await get_run(history, run_id, caller.thread_id)
    return await resources.runs.cancel(history, run_id)
