"""What routes ask for. A transaction is committed when the route's function returns, before the answer is sent."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts import principal as scopes
from contracts.pages import DEFAULT_PAGE_LIMIT, MAX_PAGE_LIMIT
from contracts.principal import Principal
from history_service.domain import ID_PATTERN, unstorable
from history_service.errors import RunForbiddenError
from history_service.resources import Resources
from history_service.services.leases import LeaseService
from history_service.services.runs import RunService
from history_service.storage.conversations import ConversationStore
from history_service.storage.messages import MessageStore
from history_service.storage.roles import DISPATCH_ROLE, USER_ROLE
from history_service.storage.runs import RunStore
from service_kit.database import role_transaction
from service_kit.principal import CurrentPrincipal, ScopeMissingError, require_scope
from service_kit.problems import InvalidRequestError

ConversationId = Annotated[str, Path(pattern=ID_PATTERN)]
ItemId = Annotated[str, Path(pattern=ID_PATTERN)]
RunId = Annotated[str, Path(pattern=ID_PATTERN)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE_LIMIT)]
AfterId = Annotated[str | None, Query(pattern=ID_PATTERN)]

DEFAULT_LIMIT = DEFAULT_PAGE_LIMIT


def resources_of(request: Request) -> Resources:
    """Return what the app opened in its lifespan."""
    return request.app.state.resources


async def storable_body(request: Request) -> None:
    """Refuse a body that Postgres cannot keep (see `domain.unstorable`) before anything looks at it."""
    if "json" not in request.headers.get("content-type", ""):
        return
    body = await request.body()
    reason = unstorable(await request.json()) if body else None
    if reason is not None:
        raise InvalidRequestError(reason)


StorableBody = Depends(storable_body)


async def _user_connection(request: Request, principal: CurrentPrincipal) -> AsyncGenerator[AsyncConnection]:
    if principal.user_id is None:
        raise ScopeMissingError()
    async with role_transaction(resources_of(request).engine, USER_ROLE, principal.user_id) as connection:
        yield connection


UserConnection = Annotated[AsyncConnection, Depends(_user_connection, scope="function")]


async def _conversations(connection: UserConnection, principal: CurrentPrincipal) -> ConversationStore:
    return ConversationStore(connection, principal.user_id or "")


async def _messages(connection: UserConnection, principal: CurrentPrincipal) -> MessageStore:
    return MessageStore(connection, principal.user_id or "")


async def _runs(connection: UserConnection, principal: CurrentPrincipal) -> RunStore:
    return RunStore(connection, principal.user_id or "")


Conversations = Annotated[ConversationStore, Depends(_conversations)]
Messages = Annotated[MessageStore, Depends(_messages)]
Runs = Annotated[RunStore, Depends(_runs)]


async def _run_service(conversations: Conversations, messages: Messages, runs: Runs) -> RunService:
    return RunService(conversations, messages, runs)


async def _lease_service(request: Request) -> AsyncGenerator[LeaseService]:
    resources = resources_of(request)
    settings = resources.settings
    async with role_transaction(resources.engine, DISPATCH_ROLE) as connection:
        yield LeaseService(
            connection,
            resources.signer,
            lease=settings.run_lease,
            max_attempts=settings.run_max_attempts,
            context_messages=settings.context_messages,
        )


RunDecisions = Annotated[RunService, Depends(_run_service)]
Leases = Annotated[LeaseService, Depends(_lease_service, scope="function")]


def scope(name: str, *, user: bool = True) -> Any:
    """Return the route dependency that demands a scope, and by default a user."""
    return Depends(require_scope(name, user=user))


async def _holder_of_run(
    run_id: RunId, principal: Annotated[Principal, Depends(require_scope(scopes.RUNS_ITEMS))]
) -> None:
    if principal.run_id != run_id:
        raise RunForbiddenError()


HoldsRunToken = Depends(_holder_of_run)
"""Demands the run token of the very run in the path."""
