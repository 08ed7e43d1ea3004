"""Chunks that pass as they came make the same answer as those that the server frames."""

import asyncio
import re
from urllib.parse import urlsplit

import pytest
from starlette.types import Scope

from gateway.forwarding import response as forwarding
from gateway.forwarding.outlet import Outlet
from tests.integration.gateway.conftest import StartGateway, bearer, secret_token
from tests.integration.gateway.talking_service import Talk, talking_service

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
FEW = 20
MANY = 20_000
AUTHORIZATION = bearer(secret_token())["Authorization"]


def _event(number: int) -> bytes:
    body = b"id: %d\ndata: %s\n\n" % (number, b"#" * 480)
    return b"%x\r\n%b\r\n" % (len(body), body)


def _stream(events: int, taken: asyncio.Semaphore | None = None) -> Talk:
    """Return what streams numbered events; one at a time, as they are `taken`, or as fast as can be."""

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(HEAD)
            for number in range(events):
                writer.write(_event(number))
                await writer.drain()
                if taken is not None:
                    await taken.acquire()
            writer.write(END)

    return stream


async def _answer(base: str, taken: asyncio.Semaphore, *headers: str) -> bytes:
    """Take an answer event by event, and return its bytes but for the request id."""
    address = urlsplit(base)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    lines = ("GET /api/ann/runs/run_1/events HTTP/1.1", "host: x", f"authorization: {AUTHORIZATION}", *headers)
    writer.write("\r\n".join((*lines, "", "")).encode())
    read = b""
    async with asyncio.timeout(10):
        for _ in range(FEW):
            read += await reader.readuntil(b"\n\n\r\n")
            taken.release()
        read += await reader.readuntil(END)
    writer.close()
    await writer.wait_closed()
    return re.sub(rb"x-request-id: \w+", b"", read)


@pytest.mark.parametrize("headers", [(), ("connection: close",)])
async def test_answers_are_the_same_either_way(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch, headers: tuple[str, ...]
) -> None:
    through_send: list[bytes] = []
    write = Outlet.write

    def note(outlet: Outlet, piece: bytes) -> bool:
        through_send.append(piece)
        return write(outlet, piece)

    def none(scope: Scope) -> None:
        """Say what there is with another server."""

    monkeypatch.setattr(Outlet, "write", note)
    taken = asyncio.Semaphore(0)
    async with talking_service(_stream(FEW, taken)) as url, start_gateway(chat_url=url) as gateway:
        passed = await _answer(str(gateway.base_url), taken, *headers)
        assert len(through_send) == 1  # the parser has to see the end of a chunk first
        monkeypatch.setattr(forwarding, "chunked_connection_of", none)
        sent = await _answer(str(gateway.base_url), taken, *headers)
        assert len(through_send) == 1 + FEW
    assert passed == sent
    assert re.findall(rb"id: (\d+)", passed) == [b"%d" % number for number in range(FEW)]


async def test_many_events_stay_in_order(start_gateway: StartGateway) -> None:
    """Some come by themselves, others together or cut; some find the caller behind."""
    async with (
        talking_service(_stream(MANY)) as url,
        start_gateway(chat_url=url) as gateway,
        gateway.stream("GET", "/api/ann/runs/run_1/events", headers=bearer(secret_token())) as response,
    ):
        read = b"".join([piece async for piece in response.aiter_raw()])
    assert re.findall(rb"id: (\d+)", read) == [b"%d" % number for number in range(MANY)]
    assert len(read) == sum(len(_event(number)) - len(b"200\r\n\r\n") for number in range(MANY))
