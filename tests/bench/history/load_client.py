"""A client that costs little: HTTP/1.1 over plain asyncio connections, one request at a time on each."""

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from launcher.ports import LOOPBACK

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


@dataclass
class Measured:
    """Latencies (seconds) of the requests that were answered as expected, and how long it took in all."""

    latencies: list[float] = field(default_factory=list[float])
    failures: int = 0
    seconds: float = 0.0
    last_failure: str = ""

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Return a latency in milliseconds that this share of the requests does not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


def request(method: str, target: str, headers: dict[str, str], body: str = "") -> bytes:
    """Return the bytes of a request."""
    lines = [f"{method} {target} HTTP/1.1", "host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body.encode())}"]
    return "\r\n".join([*lines, "", body]).encode()


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], until: float, measured: Measured) -> None:
        self._requests = requests
        self._until = until
        self._measured = measured
        self._received = bytearray()
        self._expected = 0
        self._sent = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._expected:
            head = self._received.find(b"\r\n\r\n")
            if head < 0:
                return
            length = _LENGTH.search(self._received, 0, head)
            self._expected = head + 4 + (int(length[1]) if length else 0)
        if len(self._received) >= self._expected:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError("the server has closed the connection"))

    def _finish(self) -> None:
        took = time.perf_counter() - self._sent
        if bytes(self._received[9:12]) in (b"200", b"201"):
            self._measured.latencies.append(took)
        else:
            self._measured.failures += 1
            self._measured.last_failure = bytes(self._received[:600]).decode(errors="replace")
        self._received.clear()
        self._expected = 0
        self._next()

    def _next(self) -> None:
        following = next(self._requests, None) if time.perf_counter() < self._until else None
        if following is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(following)


async def put_load(port: int, requests: Iterator[bytes], *, concurrency: int, seconds: float) -> Measured:
    """Send the requests over so many connections until time or requests are up."""
    loop, measured, started = asyncio.get_running_loop(), Measured(), time.perf_counter()

    async def connection() -> None:
        _, protocol = await loop.create_connection(
            lambda: _Connection(requests, started + seconds, measured), LOOPBACK, port
        )
        await protocol.done

    await asyncio.gather(*(connection() for _ in range(concurrency)))
    measured.seconds = time.perf_counter() - started
    return measured
