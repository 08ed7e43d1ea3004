"""Answers whose framing says something else than what comes, and what callers get of them."""

import asyncio
import logging

import pytest

from contracts.frames import KEEP_ALIVE
from tests.integration.gateway.conftest import StartGateway, bearer, secret_token
from tests.integration.gateway.talking_service import talking_service

AUTHORIZATION = bearer(secret_token())
TASKS = "/api/ann/tasks"
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"

ENDS_OF_TRUST = {
    "another answer": WHOLE * 2,
    "the beginning of another answer": WHOLE + b"HTTP/1.1 200 OK\r\ncontent-le",
    "garbage": WHOLE + b"garbage",
    "a length without a body": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    "chunks without a body": b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a body that cannot be": b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nhello",
}
USABLE = {
    "nothing more": WHOLE,
    "an empty line": WHOLE + b"\r\n",
    "no body": b"HTTP/1.1 204 No Content\r\n\r\n",
    "no body, and its length": b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
    "trailers": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx: y\r\n\r\n",
}


@pytest.mark.parametrize(("said", "connections"), [(ENDS_OF_TRUST, 2), (USABLE, 1)])
async def test_a_connection_is_used_again_only_where_an_answer_ends_with_it(
    start_gateway: StartGateway, caplog: pytest.LogCaptureFixture, said: dict[str, bytes], connections: int
) -> None:
    used: dict[str, int] = {}
    name = ""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        used[name] += 1
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(said[name])

    for name, answer in said.items():
        used[name] = 0
        status = int(answer.split()[1])
        async with talking_service(say) as url, start_gateway(tools_url=url) as gateway:
            answers = [await gateway.post(TASKS, headers=AUTHORIZATION) for _ in range(2)]
        assert [(told.status_code, told.content) for told in answers] == [(status, b"{}" if status == 200 else b"")] * 2
    assert used == dict.fromkeys(said, connections)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_stream_that_tells_its_length_may_be_silent_as_well(start_gateway: StartGateway) -> None:
    commented = asyncio.Event()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 18\r\n\r\ndata: 1\n\n")
        await commented.wait()
        writer.write(b"data: 2\n\n")

    async with (
        talking_service(stream) as url,
        start_gateway(chat_url=url, keepalive_seconds=0.02) as gateway,
        gateway.stream("POST", "/api/ann/chatkit", headers=AUTHORIZATION) as response,
    ):
        received = b""
        async for piece in response.aiter_raw():
            received += piece
            if KEEP_ALIVE in received:
                commented.set()
    assert received.replace(KEEP_ALIVE, b"") == b"data: 1\n\ndata: 2\n\n"
