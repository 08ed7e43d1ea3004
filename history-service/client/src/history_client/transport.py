"""Sending a request: retries of what may be repeated, and errors as `HistoryError`s."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from contextlib import asynccontextmanager

import httpx

from history_client.errors import HistoryTimeoutError, HistoryUnavailableError, error_of
from service_kit.requests import REQUEST_ID_HEADER

DEFAULT_RETRIES = 2
DEFAULT_BACKOFF_SECONDS = 0.05
JSON = "application/json"

Body = str | bytes | AsyncIterable[bytes]


class HistoryTransport:
    """Sends requests to the history-service over a shared HTTP client, which its owner closes.

    `retries` bounds how often a request is repeated after a failed connection. A request that may already have
    reached the service is repeated only if it is idempotent; an answer, a late one included, is never asked for twice.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        retries: int = DEFAULT_RETRIES,
        backoff_seconds: float = DEFAULT_BACKOFF_SECONDS,
    ) -> None:
        self._http = http
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
    ) -> httpx.Response:
        """Return the answer, fully read, if its status is below 400. Raises HistoryError otherwise.

        A `body` that is iterated is sent once, whatever happens.
        """
        headers = _headers(token, request_id)
        if body is not None:
            headers["Content-Type"] = content_type
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        repeatable = not isinstance(body, AsyncIterable)
        failures = 0
        while True:
            try:
                response = await self._http.request(method, path, params=query, content=body, headers=headers)
                break
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failures = self._count(failures, error, repeatable=repeatable)
            except httpx.TimeoutException as error:
                raise _timeout() from error
            except httpx.TransportError as error:
                failures = self._count(failures, error, repeatable=idempotent and repeatable)
            await asyncio.sleep(self._backoff_seconds * 2 ** (failures - 1) * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        if response.status_code >= 400:
            raise error_of(response)
        return response

    @asynccontextmanager
    async def stream(self, path: str, *, token: str, request_id: str | None = None) -> AsyncGenerator[httpx.Response]:
        """Open an answer to read it piece by piece, with `chunks_of`. Raises HistoryError."""
        request = self._http.build_request("GET", path, headers=_headers(token, request_id))
        try:
            response = await self._http.send(request, stream=True)
        except httpx.TimeoutException as error:
            raise _timeout() from error
        except httpx.TransportError as error:
            raise _unavailable() from error
        try:
            if response.status_code >= 400:
                await response.aread()
                raise error_of(response)
            yield response
        finally:
            await response.aclose()

    def _count(self, failures: int, error: httpx.TransportError, *, repeatable: bool) -> int:
        if not repeatable or failures >= self._retries:
            raise _unavailable() from error
        return failures + 1


async def chunks_of(response: httpx.Response) -> AsyncGenerator[bytes]:
    """Yield the body of a streamed answer. Raises HistoryUnavailableError if it breaks off."""
    try:
        async for chunk in response.aiter_bytes():
            yield chunk
    except httpx.TimeoutException as error:
        raise _timeout() from error
    except httpx.TransportError as error:
        raise _unavailable() from error


def _headers(token: str, request_id: str | None) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {token}"}
    if request_id is not None:
        headers[REQUEST_ID_HEADER] = request_id
    return headers


def _timeout() -> HistoryTimeoutError:
    return HistoryTimeoutError("upstream_timeout", "The history-service did not answer in time.")


def _unavailable() -> HistoryUnavailableError:
    return HistoryUnavailableError("upstream_unavailable", "The history-service cannot be reached.")
