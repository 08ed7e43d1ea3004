"""Sending a request: retries of what may be repeated, and errors as `HistoryError`s."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlencode

from history_client.errors import HistoryTimeoutError, HistoryUnavailableError, error_of
from service_kit.answers import Answer, LateAnswerError, OpenAnswer
from service_kit.http_exchange import BrokenAnswerError, UnreachableError
from service_kit.requests import REQUEST_ID_HEADER
from service_kit.service_client import ServiceClient

DEFAULT_RETRIES = 2
DEFAULT_BACKOFF_SECONDS = 0.05
JSON = "application/json"

Body = str | bytes | AsyncIterable[bytes]


class HistoryTransport:
    """Sends requests to the history-service over a shared client of it, which its owner closes.

    `retries` bounds how often a request is repeated after a failed connection. A request that may already have
    reached the service is repeated only if it is idempotent; an answer, a late one included, is never asked for twice.
    """

    def __init__(
        self,
        service: ServiceClient,
        *,
        retries: int = DEFAULT_RETRIES,
        backoff_seconds: float = DEFAULT_BACKOFF_SECONDS,
    ) -> None:
        self._service = service
        self._retries = retries
        self._backoff_seconds = backoff_seconds

    async def send(
        self,
        method: str,
        path: str,
        *,
        token: str,
        request_id: str | None = None,
        body: Body | None = None,
        content_type: str = JSON,
        query: Mapping[str, str | int] | None = None,
        idempotent: bool = True,
        idempotency_key: str | None = None,
    ) -> Answer:
        """Return the answer if its status is below 400. Raises HistoryError otherwise.

        A `body` that is iterated is sent once, whatever happens; what it raises, this raises.
        """
        headers = _headers(token, request_id)
        if body is not None:
            headers["Content-Type"] = content_type
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        if query:
            path = f"{path}?{urlencode(query)}"
        content = body.encode() if isinstance(body, str) else body or b""
        is_bytes = isinstance(content, bytes)
        may_repeat = idempotent and is_bytes
        failures = 0
        while True:
            try:
                answer = await self._service.request(method, path, headers, content, idempotent=may_repeat)
                break
            except UnreachableError as error:
                failures = self._count(failures, error, repeatable=is_bytes)
            except BrokenAnswerError as error:
                failures = self._count(failures, error, repeatable=may_repeat)
            except LateAnswerError as error:
                raise _timeout() from error
            await asyncio.sleep(self._backoff_seconds * 2 ** (failures - 1) * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        if answer.status >= 400:
            raise error_of(answer)
        return answer

    @asynccontextmanager
    async def stream(self, path: str, *, token: str, request_id: str | None = None) -> AsyncGenerator[OpenAnswer]:
        """Open an answer to read it piece by piece, with `chunks_of`. Raises HistoryError."""
        with _history_errors():
            answer = await self._service.open("GET", path, _headers(token, request_id), idempotent=True)
        try:
            if answer.status >= 400:
                with _history_errors():
                    raise error_of(await answer.read())
            yield answer
        finally:
            answer.close()

    def _count(self, failures: int, error: Exception, *, repeatable: bool) -> int:
        if not repeatable or failures >= self._retries:
            raise _unavailable() from error
        return failures + 1


async def chunks_of(answer: OpenAnswer) -> AsyncGenerator[bytes]:
    """Yield the body of a streamed answer. Raises HistoryUnavailableError if it breaks off."""
    with _history_errors():
        async for chunk in answer.pieces():
            yield chunk


def _headers(token: str, request_id: str | None) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {token}"}
    if request_id is not None:
        headers[REQUEST_ID_HEADER] = request_id
    return headers


@contextmanager
def _history_errors() -> Generator[None]:
    try:
        yield
    except LateAnswerError as error:
        raise _timeout() from error
    except (UnreachableError, BrokenAnswerError) as error:
        raise _unavailable() from error


def _timeout() -> HistoryTimeoutError:
    return HistoryTimeoutError("upstream_timeout", "The history-service did not answer in time.")


def _unavailable() -> HistoryUnavailableError:
    return HistoryUnavailableError("upstream_unavailable", "The history-service cannot be reached.")
