"""A service in miniature: HTTP by hand, so that a test decides about each byte that comes back, and about the end."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from launcher.ports import LOOPBACK

ANSWER_EARLY = "x-answer-early"
"""A request with this header is answered before its body is read, which nobody reads then."""


@dataclass(frozen=True)
class Asked:
    """A request as it came, and the number of its connection, from 1."""

    method: str
    target: str
    headers: dict[str, str]
    """By name in lower case."""
    body: bytes
    connection: int


Conduct = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]
"""Answers one request, or does not; it may close the connection."""


@dataclass
class TinyService:
    """What has been asked so far."""

    url: str = ""
    requests: list[Asked] = field(default_factory=list[Asked])
    connections: int = 0
    ended: int = 0
    """Connections that are over, whoever ended them."""


def answer(content: bytes = b"{}", status: int = 200, *lines: bytes) -> bytes:
    """Return an answer of a known length. `lines` are further headers."""
    head = b"HTTP/1.1 %d OK\r\ncontent-length: %d\r\n" % (status, len(content))
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + content


def answering(*answers: bytes) -> Conduct:
    """Answer each request with the next of these, the last one again and again; b"" closes the connection instead."""
    left = list(answers)

    async def conduct(asked: Asked, writer: asyncio.StreamWriter) -> None:
        content = left.pop(0) if len(left) > 1 else left[0]
        if content:
            writer.write(content)
        else:
            writer.close()

    return conduct


@asynccontextmanager
async def tiny_service(conduct: Conduct) -> AsyncGenerator[TinyService]:
    """Serve until the block is left; what is still going on then is cancelled."""
    service, tasks = TinyService(), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        service.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await _talk(reader, writer, service, conduct)
        finally:
            service.ended += 1
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, LOOPBACK, 0)
    service.url = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    try:
        yield service
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [end for end in ends if end and not isinstance(end, asyncio.CancelledError)] == []


async def _talk(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: TinyService, conduct: Conduct
) -> None:
    number = service.connections
    while not writer.is_closing():
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").splitlines()
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-1])}
        body = b"" if ANSWER_EARLY in headers else await _body(reader, headers)
        asked = Asked(method, target, headers, body, number)
        service.requests.append(asked)
        await conduct(asked, writer)
        if ANSWER_EARLY in headers:
            await asyncio.Event().wait()


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "transfer-encoding" not in headers:
        return await reader.readexactly(int(headers.get("content-length", 0)))
    pieces: list[bytes] = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(pieces)
