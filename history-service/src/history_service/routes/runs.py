"""Runs as users (through other services) see them: create, list, get, cancel."""

from typing import Annotated

from fastapi import APIRouter

from contracts.pages import Order, Page
from contracts.principal import RUNS_CANCEL, RUNS_CREATE, RUNS_READ
from contracts.runs import Run, RunCreate, RunCreated
from history_service.dependencies import (
    DEFAULT_LIMIT,
    AfterId,
    ConversationId,
    Limit,
    Limits,
    RunId,
    acting,
)
from history_service.domain import is_valid_id
from history_service.errors import (
    ItemConflictError,
    ItemNotFoundError,
    RunConflictError,
    RunForbiddenError,
    RunQueueFullError,
    TooManyRunsError,
)
from history_service.json_route import JsonRoute
from history_service.services.runs import RunService
from history_service.storage.user import UserAccess
from service_kit.openapi import raises
from service_kit.problems import InvalidRequestError

RunReader = Annotated[UserAccess, acting(RUNS_READ)]

router = APIRouter(tags=["runs"], route_class=JsonRoute)


@router.post(
    "/conversations/{conversation_id}/runs",
    status_code=201,
    summary="Store a message and queue its run",
    responses=raises(
        *(RunConflictError, RunForbiddenError, ItemConflictError, ItemNotFoundError),
        *(RunQueueFullError, TooManyRunsError),
    ),
)
async def create_run(
    conversation_id: ConversationId, new: RunCreate, user: Annotated[UserAccess, acting(RUNS_CREATE)], limits: Limits
) -> RunCreated:
    """Store the message, the run and, if given, the conversation in one transaction; idempotent on the run id.

    A new run is refused (429) while too many are queued, or the user has too many unfinished ones.
    """
    if not is_valid_id(new.id):
        raise InvalidRequestError("The run's id is malformed.")
    if new.conversation is not None and new.conversation.id != conversation_id:
        raise InvalidRequestError("The conversation's id is not the one it was sent under.")
    async with user.transaction() as history:
        return await RunService(history).create(conversation_id, new, limits)


@router.get("/conversations/{conversation_id}/runs", summary="List runs")
async def list_runs(
    conversation_id: ConversationId,
    user: RunReader,
    limit: Limit = DEFAULT_LIMIT,
    after: AfterId = None,
    order: Order = "asc",
    active: bool = False,
) -> Page[Run]:
    """Return a page in order of creation; with `active`, only runs that have not ended."""
    async with user.transaction() as history:
        return await history.runs.list(conversation_id, limit, after, order, active=active)


@router.get("/runs/{run_id}", summary="Get a run")
async def get_run(run_id: RunId, user: RunReader) -> Run:
    """Return a run."""
    async with user.transaction() as history:
        return await history.runs.get(run_id)


@router.post("/runs/{run_id}/cancel", summary="Ask a run to end")
async def cancel_run(run_id: RunId, user: Annotated[UserAccess, acting(RUNS_CANCEL)]) -> Run:
    """End a queued run, or one whose worker is gone, at once; leave the request to stop for any other."""
    async with user.transaction() as history:
        return await RunService(history).cancel(run_id)
