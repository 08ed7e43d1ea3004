"""The gateway as it is, but for its requests to the services inside: they go through httpx on its own transport."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx

from gateway import __main__ as gateway
from gateway.forwarding import upstreams
from service_kit.http import MAX_CONNECTIONS
from service_kit.http_exchange import BrokenAnswerError, ChunkSink, Sink, UnreachableError

HEAD_END = b"\r\n"


class HttpxExchange:
    """Does what the gateway's own `Exchange` does."""

    is_first = True
    has_begun = True

    def __init__(self, client: httpx.AsyncClient, origin: str) -> None:
        self._client = client
        self._origin = origin
        self._response: httpx.Response | None = None
        self.status = 0
        self.raw_headers: list[tuple[bytes, bytes]] = []
        self.is_whole = False

    async def send(
        self, method: str, path_and_query: bytes, headers: bytes, body: bytes | AsyncIterator[bytes]
    ) -> None:
        pairs = [line.split(b": ", 1) for line in headers.split(HEAD_END) if line]
        request = self._client.build_request(
            method,
            self._origin + path_and_query.decode("ascii"),
            headers=[(name, value) for name, value in pairs],
            content=body or None,
        )
        try:
            self._response = await self._client.send(request, stream=True)
        except httpx.ConnectError as error:
            raise UnreachableError(str(error)) from error
        except httpx.TimeoutException as error:
            raise TimeoutError from error
        except httpx.HTTPError as error:
            raise BrokenAnswerError(str(error)) from error
        self.status = self._response.status_code
        self.raw_headers = self._response.headers.raw

    async def deliver(self, sink: Sink, chunk_sink: ChunkSink | None = None) -> None:
        assert self._response is not None
        async for piece in self._response.aiter_raw():
            sink(piece)
        await self._response.aclose()

    def resume(self) -> None:
        """Go on; nothing is ever held back here."""

    def fail(self, error: Exception) -> None:
        """End with an error; httpx's own time limits do that here."""

    def close(self) -> None:
        """Give the connection back; the end of the body has done that."""


class HttpxPool:
    """The connections to one service, which are httpx's."""

    def __init__(self, url: str, limit: int) -> None:
        parts = urlsplit(url)
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS)
        self._client = httpx.AsyncClient(limits=limits, timeout=30.0, trust_env=False)
        self._origin = f"{parts.scheme}://{parts.netloc}"

    def target(self, path: str) -> bytes:
        return path.encode("ascii")

    async def begin(self, *, fresh: bool = False) -> HttpxExchange:
        return HttpxExchange(self._client, self._origin)

    def close(self) -> None:
        """End with the process."""


def main() -> None:
    """Serve."""
    upstreams.ConnectionPool = HttpxPool  # pyright: ignore[reportAttributeAccessIssue, reportPrivateImportUsage]
    gateway.main()


if __name__ == "__main__":
    main()
