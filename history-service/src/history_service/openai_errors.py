"""OpenAI's shape for every problem of the OpenAI-compatible API."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, cast

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contracts.problems import PROBLEM_MEDIA_TYPE
from service_kit.problems import InvalidRequestError, ProblemError

OPENAI_PREFIX = "/v1/"
_OF_THE_PROBLEM_ALONE = frozenset({"content-type", "content-length"})
_CLIENT_RETRIES_UNLESS_TOLD = 409
_TYPES = {401: "authentication_error", 403: "permission_error"}


class OpenAIErrorMiddleware:
    """Rewrites problem details under `/v1/` into OpenAI's error object, whoever made them.

    A middleware and not an exception handler: the limit on bodies and the router answer without an exception.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; only the body of a problem is held back."""
        if scope["type"] != "http" or not scope["path"].startswith(OPENAI_PREFIX):
            await self.app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            await self.app(scope, receive, answer.send)
        except Exception:
            if not answer.started:
                await error_response(ProblemError.status, _problem_of(ProblemError()))(scope, receive, send)
            raise  # the outermost handler logs it and, as an answer has begun, sends none


def install_openai_errors(app: FastAPI) -> None:
    """Answer the errors of all routes under `/v1/` in OpenAI's shape."""
    app.user_middleware.append(Middleware(OpenAIErrorMiddleware))


class _Answer:
    """What the app sends, of which a problem is collected and sent on in OpenAI's shape."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._problem: Message | None = None
        self._body = b""
        self.started = False

    async def send(self, message: Message) -> None:
        """Pass a message on, or collect it."""
        if message["type"] == "http.response.start":
            self.started = True
            if Headers(raw=message["headers"]).get("content-type", "").startswith(PROBLEM_MEDIA_TYPE):
                self._problem = message
                return
        if self._problem is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            await self._send_problem(self._problem)

    async def _send_problem(self, start: Message) -> None:
        response = error_response(start["status"], json.loads(self._body))
        headers = MutableHeaders(raw=response.raw_headers)
        for name, value in Headers(raw=start["headers"]).items():
            if name not in _OF_THE_PROBLEM_ALONE:
                headers.append(name, value)
        await self._send({"type": "http.response.start", "status": response.status_code, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": response.body})


def error_response(status: int, problem: dict[str, Any]) -> JSONResponse:
    """Return OpenAI's error for a problem. What is wrong with the payload is 400 there, not 422."""
    status = 400 if status == InvalidRequestError.status else status
    message, param = _explanation(problem)
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    error = {"message": message, "type": kind, "param": param, "code": problem["code"]}
    headers = {"x-should-retry": "false"} if status == _CLIENT_RETRIES_UNLESS_TOLD else {}
    return JSONResponse({"error": error}, status, headers)


def _problem_of(error: ProblemError) -> dict[str, Any]:
    return {"code": error.code, "detail": error.detail}


def _explanation(problem: dict[str, Any]) -> tuple[str, str | None]:
    errors = cast("Sequence[dict[str, Any]]", problem.get("errors") or ())
    if errors:
        param = _path(errors[0]["loc"])
        return (f"{param}: {errors[0]['message']}" if param else errors[0]["message"]), param
    return problem["detail"], problem.get("param")


def _path(location: Iterable[str]) -> str | None:
    """Write `["body", "items", "0", "id"]` as `items[0].id`."""
    path = ""
    for part in list(location)[1:]:
        path += f"[{part}]" if part.isdigit() and path else f".{part}" if path else part
    return path or None
