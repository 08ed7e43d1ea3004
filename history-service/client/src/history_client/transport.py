"""Sending a request: retries of what may be repeated, and errors as `HistoryError`s."""

import asyncio
import random
from collections.abc import Mapping

import httpx

from history_client.errors import HistoryTimeoutError, HistoryUnavailableError, error_of
from service_kit.requests import REQUEST_ID_HEADER

DEFAULT_RETRIES = 2
DEFAULT_BACKOFF_SECONDS = 0.05


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
        body: str | None = None,
        query: Mapping[str, str | int] | None = None,
        idempotent: bool = True,
    ) -> httpx.Response:
        """Return the answer, fully read, if its status is below 400. Raises HistoryError otherwise.

        `body` is JSON.
        """
        headers = {"Authorization": f"Bearer {token}"}
        if request_id is not None:
            headers[REQUEST_ID_HEADER] = request_id
        if body is not None:
            headers["Content-Type"] = "application/json"
        failures = 0
        while True:
            try:
                response = await self._http.request(method, path, params=query, content=body, headers=headers)
                break
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failures = self._count(failures, error, repeatable=True)
            except httpx.TimeoutException as error:
                raise HistoryTimeoutError("upstream_timeout", "The history-service did not answer in time.") from error
            except httpx.TransportError as error:
                failures = self._count(failures, error, repeatable=idempotent)
            await asyncio.sleep(self._backoff_seconds * 2 ** (failures - 1) * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        if response.status_code >= 400:
            raise error_of(response)
        return response

    def _count(self, failures: int, error: httpx.TransportError, *, repeatable: bool) -> int:
        if not repeatable or failures >= self._retries:
            raise HistoryUnavailableError("upstream_unavailable", "The history-service cannot be reached.") from error
        return failures + 1
