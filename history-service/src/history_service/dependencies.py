"""What routes ask for: who is calling, verified, and parameters of the right shape.

A route opens its transaction itself, with `async with user.transaction()`; it is committed before the answer is sent.
"""

from types import TracebackType
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query, Request, Security

from contracts import principal as scopes
from contracts.pages import DEFAULT_PAGE_LIMIT, MAX_PAGE_LIMIT
from history_service.domain import ID_PATTERN, MAX_CURSOR_LENGTH, RunLimits
from history_service.errors import RunForbiddenError
from history_service.resources import Resources
from history_service.services.creates import Create
from history_service.services.leases import LeaseService
from history_service.storage.roles import DISPATCH_ROLE
from history_service.storage.user import UserAccess
from service_kit.principal import InternalToken

ConversationId = Annotated[str, Path(pattern=ID_PATTERN)]
ItemId = Annotated[str, Path(pattern=ID_PATTERN)]
RunId = Annotated[str, Path(pattern=ID_PATTERN)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE_LIMIT)]
AfterId = Annotated[str | None, Query(pattern=ID_PATTERN)]
After = Annotated[str | None, Query(max_length=MAX_CURSOR_LENGTH)]
"""The `after` of the page before, or an id."""

DEFAULT_LIMIT = DEFAULT_PAGE_LIMIT


def resources_of(request: Request) -> Resources:
    """Return what the app opened in its lifespan."""
    return request.app.state.resources


async def _run_limits(request: Request) -> RunLimits:
    return resources_of(request).settings.run_limits


Limits = Annotated[RunLimits, Depends(_run_limits)]


async def _create(
    request: Request, idempotency_key: Annotated[str | None, Header(pattern=r"^[\x21-\x7e]{1,255}$")] = None
) -> Create:
    return Create(idempotency_key, request.url.path, await request.body() if idempotency_key else b"")


Repeatable = Annotated[Create, Depends(_create)]
"""A create that may be repeated under its `Idempotency-Key` and is carried out once."""


class _UserToken(InternalToken):
    """Demands a token that names a user and has the scope."""

    async def __call__(self, request: Request) -> UserAccess:
        principal = await self.principal(request)
        return UserAccess(resources_of(request).database, principal.user_id or "")


class _RunToken(InternalToken):
    """Demands the run token of the very run in the path."""

    async def __call__(self, request: Request) -> UserAccess:
        principal = await self.principal(request)
        if principal.run_id != request.path_params["run_id"]:
            raise RunForbiddenError()
        return UserAccess(resources_of(request).database, principal.user_id or "")


class LeaseAccess:
    """A service's way to the runs of everybody. Holds nothing open."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def transaction(self) -> "LeaseContext":
        """Return a context that opens a transaction as the dispatcher."""
        return LeaseContext(self._resources)


class LeaseContext:
    """Opens and ends one transaction of the dispatcher's."""

    __slots__ = ("_context", "_resources")

    def __init__(self, resources: Resources) -> None:
        self._context = resources.database.transaction(DISPATCH_ROLE)
        self._resources = resources

    async def __aenter__(self) -> LeaseService:
        settings = self._resources.settings
        return LeaseService(
            await self._context.__aenter__(),
            self._resources.run_tokens,
            lease=settings.run_lease,
            max_attempts=settings.run_max_attempts,
            context_messages=settings.context_messages,
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._context.__aexit__(kind, error, trace)


class _ServiceToken(InternalToken):
    """Demands a service's own token with the scope; no user."""

    async def __call__(self, request: Request) -> LeaseAccess:
        await self.principal(request)
        return LeaseAccess(resources_of(request))


def acting(scope: str) -> Any:
    """Return the dependency that demands a user's token with `scope` and gives their `UserAccess`."""
    return Security(_UserToken(scope), scopes=[scope])


def serving(scope: str) -> Any:
    """Return the dependency that demands a service's own token with `scope`, for no user, and gives `LeaseAccess`."""
    return Security(_ServiceToken(scope, user=False), scopes=[scope])


Reader = Annotated[UserAccess, acting(scopes.CONVERSATIONS_READ)]
Writer = Annotated[UserAccess, acting(scopes.CONVERSATIONS_WRITE)]
RunHolder = Annotated[UserAccess, Security(_RunToken(scopes.RUNS_ITEMS), scopes=[scopes.RUNS_ITEMS])]
Worker = Annotated[LeaseAccess, serving(scopes.RUNS_WORK)]
Watcher = Annotated[LeaseAccess, serving(scopes.RUNS_WATCH)]
