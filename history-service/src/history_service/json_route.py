"""Routes whose JSON body is parsed once, and only if it can be kept exactly."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from starlette.responses import Response

from history_service.json_body import body_of, storable_json
from history_service.plain_route import plain_app
from service_kit.principal import TokenFirstRoute

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class JsonRoute(TokenFirstRoute):
    """A route that refuses, before anything looks at it, a body that Postgres would not give back as it came.

    FastAPI would answer some of them with 400 (nested too deep, integers too long), and take the last of two members
    of one name. A route that needs no more than `plain_route` gives is called without FastAPI's handler.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.app = plain_app(self) or self.app

    def get_route_handler(self) -> _Handler:
        """Return FastAPI's handler behind the check."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_checked(request: Request) -> Response:
            if "json" in request.headers.get("content-type", ""):
                request = _ParsedRequest(request, await body_of(request))
            return await handle(request)

        return handle_checked


class _ParsedRequest(Request):
    """A request whose body is parsed already."""

    def __init__(self, request: Request, body: bytes) -> None:
        super().__init__(request.scope, request.receive)
        self._body = body
        self._parsed = storable_json(body) if body else None

    async def json(self) -> Any:
        """Return the parsed body."""
        return self._parsed
