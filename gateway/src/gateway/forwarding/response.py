"""A response that is another service's: sent on as it comes, head and body."""

import asyncio

import aiohttp
import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.errors import UpstreamFailedError, UpstreamTimeoutError, UpstreamUnavailableError
from gateway.forwarding.body import RequestBody
from gateway.forwarding.connection import BrokenAnswerError, Exchange, UnreachableError
from gateway.forwarding.headers import request_headers, response_headers
from gateway.forwarding.relay import EventRelay, relay_bytes
from gateway.forwarding.targets import Target
from gateway.forwarding.upstreams import Upstreams
from gateway.settings import Settings
from service_kit.problems import InvalidRequestError, ProblemError
from service_kit.requests import request_id_of

log = structlog.get_logger(__name__)


_FAILURES = (aiohttp.ClientError, UnreachableError, BrokenAnswerError, TimeoutError)


def _problem_of(error: Exception) -> ProblemError:
    """Return what the caller is told of a request that failed before its answer began."""
    if isinstance(error, UnreachableError | aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return UpstreamUnavailableError(headers={"Retry-After": "1"})
    if isinstance(error, TimeoutError):
        return UpstreamTimeoutError()
    return UpstreamFailedError()


class ForwardedResponse(Response):
    """Forwards its request for a user to a target when it is sent, and answers with what comes back.

    Raises problems as long as nothing was sent. When the caller goes, the request inside is given up; when the
    answer breaks off inside, so does this one: the connection ends without the mark of a complete body.
    """

    def __init__(self, upstreams: Upstreams, settings: Settings, user_id: str, target: Target, path: str) -> None:
        self.background = None
        self._upstreams = upstreams
        self._settings = settings
        self._user_id = user_id
        self._target = target
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward, and relay the answer."""
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        body = RequestBody(receive, declared, self._settings.request_max_bytes)
        # A timeout without end: the standard library's only scope that can be cancelled from outside.
        exchange = asyncio.timeout(None)
        try:
            async with exchange:
                watcher = asyncio.create_task(self._end_with_caller(body, exchange))
                try:
                    await self._exchange(scope, body, send)
                finally:
                    watcher.cancel()
        except ClientDisconnect:
            log.info("caller_gone_while_sending")
        except TimeoutError:
            if not exchange.expired():
                raise
            log.debug("caller_gone")

    @staticmethod
    async def _end_with_caller(body: RequestBody, exchange: asyncio.Timeout) -> None:
        await body.wait_for_disconnect()
        exchange.reschedule(asyncio.get_running_loop().time())

    async def _exchange(self, scope: Scope, body: RequestBody, send: Send) -> None:
        answer = await self._request(scope, body)
        try:
            if answer.status == 401:
                log.error("internal_token_refused", service=self._target.service)
                raise UpstreamFailedError()
            await self._relay(answer, send)
        finally:
            answer.close()

    async def _request(self, scope: Scope, body: RequestBody) -> aiohttp.ClientResponse | Exchange:
        token = self._upstreams.token_for(self._user_id, self._target)
        headers = request_headers(scope["headers"], token, request_id_of(scope))
        content = await body.open()
        try:
            ask = self._upstreams.stream if self._target.streams else self._upstreams.request
            return await ask(self._target, scope["method"], self._path + _query_of(scope), headers, content)
        except _FAILURES as error:
            if body.failure is not None:
                raise body.failure from error
            log.warning("upstream_request_failed", service=self._target.service, error=type(error).__name__)
            raise _problem_of(error) from error

    async def _relay(self, answer: aiohttp.ClientResponse | Exchange, send: Send) -> None:
        headers, is_stream = response_headers(answer.raw_headers)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        try:
            if isinstance(answer, Exchange):
                await EventRelay(
                    answer,
                    send,
                    silence_seconds=self._settings.stream_idle_seconds,
                    comment_seconds=self._settings.keepalive_seconds if is_stream else None,
                ).run()
            else:
                await relay_bytes(answer.content, send)
        except _FAILURES as error:
            log.warning("upstream_broke_off", service=self._target.service, error=type(error).__name__)


def _query_of(scope: Scope) -> str:
    query: bytes = scope["query_string"]
    if not query:
        return ""
    if not query.isascii():
        raise InvalidRequestError("The query must be percent-encoded.")
    return "?" + query.decode("ascii")
