"""Who calls, and what a route can do for them."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import structlog
from fastapi import Depends, Path, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.errors import SessionNotAllowedError, UserMismatchError
from gateway.forwarding.response import ForwardedResponse
from gateway.forwarding.targets import Target
from gateway.identity.sessions import CLIENT_SECRET_PREFIX
from gateway.resources import Resources
from service_kit.principal import bearer_token
from service_kit.problems import ServiceUnavailableError

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_bearer = HTTPBearer(
    scheme_name="BetterAuth", bearerFormat="JWT", description="A Better Auth JWT of the user.", auto_error=False
)
_session = HTTPBearer(
    scheme_name="ChatKitSession",
    bearerFormat="JWT",
    description="The `client_secret` of a ChatKit session of the user.",
    auto_error=False,
)

SESSION_SECURITY = Depends(_session)
"""Documents that a route is open to ChatKit sessions as well."""

UserId = Annotated[str, Path(description="The signed-in user's own id: the token's `sub`.")]


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified user, on a path of their own."""

    user_id: str
    resources: Resources
    thread_id: str | None = None
    """The only thread that they may touch; None for all of the user's."""

    def forward(self, target: Target, path: str) -> Response:
        """Return the response that forwards the request. `path` is the target's, made of checked parts only."""
        upstreams, settings = self.resources.upstreams, self.resources.settings
        response = ForwardedResponse(upstreams, settings, self.user_id, target, path, self.thread_id)
        return self.resources.guard.counted(self.user_id, response) if target.streams else response


async def current_caller(request: Request, user_id: UserId, *, sessions: bool = False) -> Caller:
    """Verify the request's token and that the path is its user's. Raises 401, 403 and 429 problems.

    A ChatKit session is let in with `sessions` alone.
    """
    resources: Resources = request.app.state.resources
    token = bearer_token(request)
    if token.startswith(CLIENT_SECRET_PREFIX):
        return await _session_caller(request.scope, token, user_id, allowed=sessions)
    verified = await resources.verifier.user_of(token)
    await resources.guard.take_user(request.scope, verified)
    if verified != user_id:
        raise UserMismatchError()
    structlog.contextvars.bind_contextvars(principal=verified)
    return Caller(verified, resources)


async def _session_caller(scope: Scope, client_secret: str, user_id: str, *, allowed: bool) -> Caller:
    resources: Resources = scope["app"].state.resources
    session = await resources.sessions.session_of(client_secret)
    await resources.guard.take_user(scope, session.user_id)
    if session.user_id != user_id:
        raise UserMismatchError()
    if not allowed:
        raise SessionNotAllowedError()
    structlog.contextvars.bind_contextvars(principal=session.user_id, session=session.session_id)
    return Caller(session.user_id, resources, session.thread_id)


async def _documented_caller(
    request: Request, user_id: UserId, _credentials: Annotated[object, Depends(_bearer)]
) -> Caller:
    return await current_caller(request, user_id)


CurrentCaller = Annotated[Caller, Depends(_documented_caller)]


def _until_stopped(handle: Handler) -> Handler:
    """Let who still waits when the gateway stops be told to come again."""

    async def answer(request: Request) -> Response:
        try:
            return await handle(request)
        except asyncio.CancelledError as error:
            # Only a stop of the gateway cancels: a caller that leaves is told by `receive`.
            raise ServiceUnavailableError(headers={"Retry-After": "1"}) from error

    return answer


class OwnRoute(APIRoute):
    """A route that the gateway answers itself, as FastAPI does it."""

    def get_route_handler(self) -> Handler:
        """Return FastAPI's way from a request to its answer."""
        return _until_stopped(super().get_route_handler())


class CallerRoute(APIRoute):
    """A route whose endpoint takes `caller: CurrentCaller` and path parameters, and nothing else.

    It is called without FastAPI's resolution of dependencies, which would give it the same and double the time from
    request to endpoint. Path parameters are checked by their convertors.
    """

    opens_to_sessions: ClassVar[bool] = False

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        handle = self.get_route_handler()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await handle(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = app

    def get_route_handler(self) -> Handler:
        """Return the short way from a request to its endpoint."""
        endpoint, sessions = self.endpoint, self.opens_to_sessions

        async def handle(request: Request) -> Response:
            parameters = dict(request.path_params)
            caller = await current_caller(request, parameters.pop("user_id"), sessions=sessions)
            return endpoint(caller=caller, **parameters)

        return _until_stopped(handle)


class SessionRoute(CallerRoute):
    """A route that is open to ChatKit sessions as well."""

    opens_to_sessions = True
