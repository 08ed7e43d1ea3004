"""A response that is another service's: sent on as it comes, head and body."""

import asyncio
from collections.abc import AsyncIterator

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.edge.answers import chunked_connection_of
from gateway.errors import UpstreamFailedError, UpstreamTimeoutError, UpstreamUnavailableError
from gateway.forwarding.body import RequestBody
from gateway.forwarding.caller_watch import CallerWatch
from gateway.forwarding.headers import request_headers, response_headers
from gateway.forwarding.relay import BodyRelay
from gateway.forwarding.targets import Target
from gateway.forwarding.upstreams import Upstreams
from gateway.settings import Settings
from service_kit.http_exchange import WITHOUT_BODY, BrokenAnswerError, Exchange, UnreachableError
from service_kit.problems import InvalidRequestError, ProblemError
from service_kit.requests import body_send_of, request_id_of

log = structlog.get_logger(__name__)

_FAILURES = (UnreachableError, BrokenAnswerError, TimeoutError)


def _problem_of(error: Exception) -> ProblemError:
    """Return what the caller is told of a request that failed before its answer began."""
    if isinstance(error, UnreachableError):
        return UpstreamUnavailableError(headers={"Retry-After": "1"})
    if isinstance(error, TimeoutError):
        return UpstreamTimeoutError()
    return UpstreamFailedError()


class ForwardedResponse(Response):
    """Forwards its request for a user to a target when it is sent, and answers with what comes back.

    Raises problems as long as nothing was sent. When the caller goes, the request inside is given up; when the
    answer breaks off inside, so does this one: the connection ends without the mark of a complete body.
    """

    def __init__(
        self,
        upstreams: Upstreams,
        settings: Settings,
        user_id: str,
        target: Target,
        path: str,
        thread_id: str | None = None,
    ) -> None:
        self.background = None
        self._upstreams = upstreams
        self._silence = settings.stream_idle_seconds if target.streams else settings.upstream_response_seconds
        self._settings = settings
        self._user_id = user_id
        self._target = target
        self._path = path
        self._thread_id = thread_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward, and relay the answer."""
        body = RequestBody(receive, scope["headers"], self._settings.request_max_bytes)
        try:
            await self._forward(scope, body, send)
        except ClientDisconnect:
            log.debug("caller_gone")

    async def _forward(self, scope: Scope, body: RequestBody, send: Send) -> None:
        exchange, watch = await self._begin(scope, body)
        try:
            if exchange.status == 401:
                log.error("internal_token_refused", service=self._target.service)
                raise UpstreamFailedError()
            is_stream = await _send_head(exchange, send)
            await self._relay(exchange, watch, scope, body_send_of(scope, send), is_stream=is_stream)
        finally:
            watch.close()
            exchange.close()

    async def _begin(self, scope: Scope, body: RequestBody) -> tuple[Exchange, CallerWatch]:
        """Send the request; return what `_ask` does. Raises problems."""
        token = self._upstreams.token_for(self._user_id, self._target, self._thread_id)
        headers = request_headers(scope["headers"], token, request_id_of(scope))
        target = self._upstreams.pool_of(self._target).target(self._path) + _query_of(scope)
        try:
            return await self._ask(scope["method"], target, headers, await body.open(), body)
        except asyncio.CancelledError as error:
            # Only a stop of the gateway cancels: a caller that leaves is told by `receive`.
            raise _problem_of(UnreachableError()) from error
        except _FAILURES as error:
            if body.failure is not None:
                raise body.failure from error
            log.warning("upstream_request_failed", service=self._target.service, error=type(error).__name__)
            raise _problem_of(error) from error

    async def _ask(
        self, method: str, target: bytes, headers: bytes, content: bytes | AsyncIterator[bytes], body: RequestBody
    ) -> tuple[Exchange, CallerWatch]:
        """Return an exchange whose answer has begun, and its watch; the caller closes both.

        A GET that met a connection which the service had just closed is asked once more, on a new one: it changes
        nothing, and no answer to it had begun. Not if its body came in pieces: some of them are gone.
        """
        pool, again = self._upstreams.pool_of(self._target), False
        while True:
            exchange = await pool.begin(fresh=again)
            watch = CallerWatch(exchange, body, self._silence)
            try:
                await exchange.send(method, target, headers, content)
            except BaseException as error:
                watch.close()
                exchange.close()
                again = (
                    isinstance(error, BrokenAnswerError)
                    and method == "GET"
                    and isinstance(content, bytes)
                    and not (exchange.is_first or exchange.has_begun)
                )
                if not again:
                    raise
            else:
                return exchange, watch

    async def _relay(
        self, exchange: Exchange, watch: CallerWatch, scope: Scope, send: Send, *, is_stream: bool
    ) -> None:
        if exchange.is_whole:
            await send({"type": "http.response.body", "body": exchange.take(), "more_body": False})
            return
        watch.begin()
        try:
            await BodyRelay(
                exchange,
                send,
                chunked_connection_of(scope),
                silence_seconds=self._silence,
                comment_seconds=self._settings.keepalive_seconds if is_stream else None,
            ).run()
        except _FAILURES as error:
            log.warning("upstream_broke_off", service=self._target.service, error=type(error).__name__)


async def _send_head(exchange: Exchange, send: Send) -> bool:
    """Send the head of the answer; tell whether it is that of an event stream."""
    headers, is_stream = response_headers(exchange.raw_headers)
    if exchange.status in WITHOUT_BODY:  # the server takes a length for a promise
        headers = [(name, value) for name, value in headers if name != b"content-length"]
    exchange.raw_headers.clear()
    await send({"type": "http.response.start", "status": exchange.status, "headers": headers})
    return is_stream


def _query_of(scope: Scope) -> bytes:
    query: bytes = scope["query_string"]
    if not query:
        return b""
    if not query.isascii():
        raise InvalidRequestError("The query must be percent-encoded.")
    return b"?" + query
