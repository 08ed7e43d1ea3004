"""Events of a run, from any point of its log."""

from fastapi import APIRouter
from starlette.responses import Response

from chat_service.dependencies import CurrentResources, History, RunId, StartCursor
from chat_service.responses import FrameStreamResponse

router = APIRouter(prefix="/runs")


@router.get("/{run_id}/events", summary="Follow a run's events as server-sent events")
async def get_run_events(run_id: RunId, cursor: StartCursor, history: History, resources: CurrentResources) -> Response:
    """Stream what follows the cursor; ends with the run's terminal event."""
    run = await history.get_run(run_id)
    return FrameStreamResponse(resources.relay.reader(history, run, cursor=cursor, run_frames=True), run)
