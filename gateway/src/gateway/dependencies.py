"""Who calls, and what a route can do for them."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import Depends, Path, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.responses import Response

from gateway.errors import UserMismatchError
from gateway.forwarding.response import ForwardedResponse
from gateway.forwarding.targets import Target
from gateway.resources import Resources
from service_kit.principal import bearer_token

_bearer = HTTPBearer(
    scheme_name="BetterAuth", bearerFormat="JWT", description="A Better Auth JWT of the user.", auto_error=False
)

UserId = Annotated[str, Path(description="The signed-in user's own id: the token's `sub`.")]


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified user, on a path of their own."""

    user_id: str
    resources: Resources

    def forward(self, target: Target, path: str) -> Response:
        """Return the response that forwards the request. `path` is the target's, made of checked parts only."""
        return ForwardedResponse(self.resources.upstreams, self.resources.settings, self.user_id, target, path)


async def current_caller(request: Request, user_id: UserId) -> Caller:
    """Verify the request's token and that the path is its user's. Raises 401 and 403 problems."""
    resources: Resources = request.app.state.resources
    verified = await resources.verifier.user_of(bearer_token(request))
    if verified != user_id:
        raise UserMismatchError()
    structlog.contextvars.bind_contextvars(principal=verified)
    return Caller(verified, resources)


async def _documented_caller(
    request: Request, user_id: UserId, _credentials: Annotated[object, Depends(_bearer)]
) -> Caller:
    return await current_caller(request, user_id)


CurrentCaller = Annotated[Caller, Depends(_documented_caller)]


class CallerRoute(APIRoute):
    """A route whose endpoint takes `caller: CurrentCaller` and path parameters, and nothing else.

    It is called without FastAPI's resolution of dependencies, which would give it the same and double the time from
    request to endpoint. Path parameters are checked by their convertors.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the short way from a request to its endpoint."""
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            parameters = dict(request.path_params)
            caller = await current_caller(request, parameters.pop("user_id"))
            return endpoint(caller=caller, **parameters)

        return handle
