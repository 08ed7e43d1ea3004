"""Requests as an attacker writes them: byte by byte, past what HTTP clients refuse to send."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ANSWER_SECONDS = 20.0

Header = tuple[str, str | bytes]


@dataclass(frozen=True)
class Answer:
    """What came back. `cpu_seconds` is what this process spent on it, client and server together."""

    status: int
    headers: dict[str, str]
    body: bytes
    cpu_seconds: float

    @property
    def problem(self) -> dict[str, Any]:
        """The body as a problem; empty if it is none."""
        is_problem = self.headers.get("content-type", "").startswith("application/problem+json")
        return json.loads(self.body) if is_problem else {}

    @property
    def told(self) -> tuple[int, str]:
        """The status and the code of the problem."""
        return self.status, self.problem.get("code", "")


def bearer(token: str | bytes) -> Header:
    """Return the header of a token."""
    return "Authorization", b"Bearer " + (token if isinstance(token, bytes) else token.encode("latin-1", "replace"))


async def get(url: str, path: str, headers: Sequence[Header], method: str = "GET") -> Answer:
    """Send a request with these headers on a connection of its own, and read the answer to its end."""
    address = urlsplit(url)
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: " + address.netloc.encode(), b"Connection: close"]
    for name, value in headers:
        lines.append(name.encode() + b": " + (value if isinstance(value, bytes) else value.encode("latin-1")))
    request = b"\r\n".join([*lines, b"", b""])
    started = time.process_time()
    async with asyncio.timeout(ANSWER_SECONDS):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(request)
        try:
            raw = await reader.read()
        except ConnectionError:
            raw = b""
        writer.close()
    return _parsed(raw, time.process_time() - started)


def _parsed(raw: bytes, cpu_seconds: float) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in fields}
    if headers.get("transfer-encoding") == "chunked":
        body = _unchunked(body)
    return Answer(int(first.split(" ")[1]) if first else 0, headers, body, cpu_seconds)


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        whole, body = whole + rest[:length], rest[length + 2 :] if length else b""
    return whole
