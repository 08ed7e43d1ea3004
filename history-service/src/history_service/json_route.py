"""Routes whose JSON body is parsed once, and only if it can be kept exactly."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from contracts.conversations import JsonObject
from history_service.domain import unstorable
from history_service.plain_route import plain_app
from service_kit.problems import InvalidRequestError

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class JsonRoute(APIRoute):
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
                request = _ParsedRequest(request, await _body(request))
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


def storable_json(text: bytes) -> Any:
    """Parse JSON that can be stored and given back exactly. Raises InvalidRequestError."""
    try:
        value = json.loads(text.decode(), object_pairs_hook=_unambiguous, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise InvalidRequestError(f"The body is not JSON: {error.msg} at character {error.pos}.") from error
    except RecursionError:
        raise InvalidRequestError("The JSON is nested too deep.") from None
    except ValueError as error:  # not UTF-8, or an integer of thousands of digits
        raise InvalidRequestError("The body is not JSON: wrong encoding, or a number too long.") from error
    reason = unstorable(value)
    if reason is not None:
        raise InvalidRequestError(reason)
    return value


def _unambiguous(members: list[tuple[str, Any]]) -> JsonObject:
    named = dict(members)
    if len(named) != len(members):
        raise InvalidRequestError("A JSON object names a member twice.")
    return named


def _no_number(name: str) -> NoReturn:
    raise InvalidRequestError(f"{name} is not a JSON number.")


async def _body(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect as error:
        raise InvalidRequestError("The request's body is incomplete.") from error
