"""The request id: made at the edge, passed on for logs and problems, never trusted for identity."""

import os
import re
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID_HEADER = "X-Request-Id"
ANSWER_HEADERS = "answer_headers"
"""Where a scope's `state` holds further headers of the answer."""

_BODY_SEND = "body_send"
_HEADER = b"x-request-id"
_WELL_FORMED = re.compile(rb"[A-Za-z0-9._-]{8,64}")


def request_id_of(scope: MutableMapping[str, Any]) -> str | None:
    """Return the id that `RequestIdMiddleware` gave to the request."""
    return scope.get("state", {}).get("request_id")


def body_send_of(scope: Scope, send: Send) -> Send:
    """Return what sends a body's pieces, once its head was sent by `send`: past all middlewares within this one.

    They look at heads alone, and each of them would cost a streamed event about a µs.
    """
    return scope.get("state", {}).get(_BODY_SEND, send)


class RequestIdMiddleware:
    """Gives each request an id (the caller's, if well-formed), binds it to the logs and answers with it.

    Pure ASGI: a streamed body is passed through untouched.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request under its id."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == _HEADER), b"")
        request_id = given.decode() if _WELL_FORMED.fullmatch(given) else os.urandom(16).hex()
        answered = (_HEADER, request_id.encode())
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        state[_BODY_SEND] = send

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message.get("headers", ()) if pair[0].lower() != _HEADER]
                message["headers"] = [*headers, answered, *state.get(ANSWER_HEADERS, ())]
            await send(message)

        # A server runs each request in a task, and so in a context of its own: nothing has to be unbound.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        await self.app(scope, receive, send_with_id)
