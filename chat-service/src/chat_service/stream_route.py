"""Routes whose answers may be streams: what FastAPI keeps for a request is given up before the stream begins."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service_kit.problems import InvalidRequestError, ServiceUnavailableError

_STACKS = ("fastapi_inner_astack", "fastapi_function_astack")
"""Where FastAPI looks for the contexts of dependencies that have an end."""


class StreamRoute(APIRoute):
    """A route like any other, whose dependencies end when its response is made, not when it has been sent.

    FastAPI would send it within their contexts and a second handler of errors: 7 KB for as long as a stream is open.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        handle = self.get_route_handler()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await _response_of(handle, scope, receive, send)
            await response(scope, receive, send)

        self.app = app


async def _response_of(
    handle: Callable[[Request], Awaitable[Response]], scope: Scope, receive: Receive, send: Send
) -> Response:
    async with AsyncExitStack() as of_request, AsyncExitStack() as of_function:
        scope.update(zip(_STACKS, (of_request, of_function), strict=True))
        try:
            response = await handle(Request(scope, receive, send))
        except ClientDisconnect as error:  # nobody's failure: nothing to log
            raise InvalidRequestError("The request's body is incomplete.") from error
        except asyncio.CancelledError as error:  # the service stops
            raise ServiceUnavailableError(headers={"Retry-After": "1"}) from error
    for name in _STACKS:
        del scope[name]
    return response
