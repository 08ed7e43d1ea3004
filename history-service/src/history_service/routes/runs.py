"""Runs as users (through other services) see them: create, list, get, cancel."""

from fastapi import APIRouter

from contracts.pages import Order, Page
from contracts.principal import RUNS_CANCEL, RUNS_CREATE, RUNS_READ
from contracts.runs import Run, RunCreate, RunCreated
from history_service.dependencies import (
    DEFAULT_LIMIT,
    AfterId,
    ConversationId,
    Limit,
    RunDecisions,
    RunId,
    Runs,
    StorableBody,
    scope,
)
from history_service.domain import is_valid_id
from service_kit.problems import InvalidRequestError

router = APIRouter(tags=["runs"])


@router.post(
    "/conversations/{conversation_id}/runs",
    status_code=201,
    dependencies=[scope(RUNS_CREATE), StorableBody],
    summary="Store a message and queue its run",
)
async def create_run(conversation_id: ConversationId, new: RunCreate, runs: RunDecisions) -> RunCreated:
    """Store the message, the run and, if given, the conversation in one transaction; idempotent on the run id."""
    if not is_valid_id(new.id):
        raise InvalidRequestError("The run's id is malformed.")
    if new.conversation is not None and new.conversation.id != conversation_id:
        raise InvalidRequestError("The conversation's id is not the one it was sent under.")
    return await runs.create(conversation_id, new)


@router.get("/conversations/{conversation_id}/runs", dependencies=[scope(RUNS_READ)], summary="List runs")
async def list_runs(
    conversation_id: ConversationId,
    runs: Runs,
    limit: Limit = DEFAULT_LIMIT,
    after: AfterId = None,
    order: Order = "asc",
    active: bool = False,
) -> Page[Run]:
    """Return a page in order of creation; with `active`, only runs that have not ended."""
    return await runs.list(conversation_id, limit, after, order, active=active)


@router.get("/runs/{run_id}", dependencies=[scope(RUNS_READ)], summary="Get a run")
async def get_run(run_id: RunId, runs: Runs) -> Run:
    """Return a run."""
    return await runs.get(run_id)


@router.post("/runs/{run_id}/cancel", dependencies=[scope(RUNS_CANCEL)], summary="Ask a run to end")
async def cancel_run(run_id: RunId, runs: RunDecisions) -> Run:
    """End a queued run, or one whose worker is gone, at once; leave the request to stop for any other."""
    return await runs.cancel(run_id)
