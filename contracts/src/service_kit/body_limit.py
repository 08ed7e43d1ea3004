"""A limit on request bodies, for those that say their length and those that do not."""

import re
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.problems import PayloadTooLargeError, problem_response
from service_kit.requests import request_id_of


class BodyLimitMiddleware:
    """Answers 413 to a request whose body is longer than `max_bytes`, having read no more than that.

    `exceptions` are patterns of whole paths that have a limit of their own.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, exceptions: Sequence[tuple[re.Pattern[str], int]] = ()) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self._exceptions = exceptions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request within the limit."""
        if scope["type"] != "http" or scope["method"] == "GET":  # no route reads the body of a GET
            await self.app(scope, receive, send)
            return
        max_bytes = self._limit(scope["path"])
        detail = f"A request body may have {max_bytes} bytes."
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdigit() and int(announced) > max_bytes:
            code = PayloadTooLargeError.code
            response = problem_response(413, code, detail, request_id=request_id_of(scope))
            await response(scope, receive, send)
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > max_bytes:
                raise HTTPException(413, detail)
            return message

        await self.app(scope, receive_within_limit, send)

    def _limit(self, path: str) -> int:
        return next((limit for pattern, limit in self._exceptions if pattern.fullmatch(path)), self.max_bytes)
