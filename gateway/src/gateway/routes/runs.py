"""Runs: look at one, follow its events, stop it."""

from typing import Annotated

from fastapi import Depends, Header
from starlette.responses import Response

from contracts.runs import Run
from gateway.dependencies import CurrentCaller
from gateway.forwarding.targets import CHAT_READ, CHAT_STREAM, RUN_CANCEL, RUN_READ
from gateway.routes.documentation import ObjectId, create_router, event_stream, problems

router = create_router("runs", sessions=True)


def event_cursor(
    last_event_id: Annotated[str | None, Header(description="Resume after this event: `<attempt>-<seq>`.")] = None,
) -> None:
    """Document where a follower resumes (WHATWG HTML, server-sent events)."""


@router.get("/runs/{run_id:id}", summary="Get a run", response_model=Run, responses=problems(403, 404))
def get_run(caller: CurrentCaller, run_id: ObjectId) -> Response:
    """Forward to the history-service; for a session of one thread to the chat-service, which keeps it there."""
    target = RUN_READ if caller.thread_id is None else CHAT_READ
    return caller.forward(target, f"/runs/{run_id}")


@router.get(
    "/runs/{run_id:id}/events",
    summary="Follow a run's events",
    response_model=None,
    responses={200: event_stream("The run's events, until it has ended."), **problems(403, 404, 422, 429)},
    dependencies=[Depends(event_cursor)],
)
def follow_run(caller: CurrentCaller, run_id: ObjectId) -> Response:
    """Forward to the chat-service."""
    return caller.forward(CHAT_STREAM, f"/runs/{run_id}/events")


@router.post("/runs/{run_id:id}/cancel", summary="Stop a run", response_model=Run, responses=problems(403, 404, 409))
def cancel_run(caller: CurrentCaller, run_id: ObjectId) -> Response:
    """Forward to the chat-service, which also tells the worker."""
    return caller.forward(RUN_CANCEL, f"/runs/{run_id}/cancel")
