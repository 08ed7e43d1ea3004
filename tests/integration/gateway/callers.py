"""Callers of the gateway that write and read bytes, whole requests or not."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import httpx

from tests.integration.gateway.conftest import secret_token

TOKEN = secret_token()
GET = f"GET /api/ann/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
POST = f"POST /api/ann/chatkit HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n".encode()
WITHIN_SECONDS = 10


class Connection:
    """A caller that writes bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def rest(self) -> bytes:
        """Read until the other side ends the connection."""
        async with asyncio.timeout(WITHIN_SECONDS):
            received = b""
            with suppress(ConnectionError):
                while data := await self._reader.read(65_536):
                    received += data
            return received

    async def until(self, mark: bytes) -> bytes:
        """Read until some bytes have come."""
        async with asyncio.timeout(WITHIN_SECONDS):
            return await self._reader.readuntil(mark)

    async def answer(self) -> bytes:
        """Read one answer that tells its length."""
        async with asyncio.timeout(WITHIN_SECONDS):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            return head + await self._reader.readexactly(length)


@asynccontextmanager
async def connection(gateway: httpx.AsyncClient) -> AsyncGenerator[Connection]:
    address = urlsplit(str(gateway.base_url))
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def problem_of(answer: bytes) -> tuple[int, str]:
    """Return status and code of an answer, which must be one whole problem and nothing more."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    assert b"connection: close" in head.lower()
    status, problem = int(head.split()[1]), json.loads(body)
    assert problem["status"] == status
    return status, problem["code"]


async def told(gateway: httpx.AsyncClient, data: bytes) -> tuple[int, str]:
    """Send bytes, and return what problem the connection ends with."""
    async with connection(gateway) as caller:
        caller.send(data)
        return problem_of(await caller.rest())
