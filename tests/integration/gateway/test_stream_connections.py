"""The gateway's own connections: used again, given up, held back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.responses import Response

from contracts.frames import KEEP_ALIVE
from tests.integration.gateway.conftest import Inside, StartGateway, bearer, secret_token
from tests.integration.gateway.talking_service import talking_service
from tests.support.ports import free_port
from tests.support.servers import eventually

AUTHORIZATION = bearer(secret_token())
CHATKIT = "/api/ann/chatkit"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PIECE = b"#" * 65_536
PIECES = 1024
MOST_UNDERWAY = PIECES // 2 * len(PIECE)
"""Far above what the sockets on the way hold, far below what is sent."""


async def test_a_caller_that_stops_reading_stops_the_service(start_gateway: StartGateway) -> None:
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        for _ in range(PIECES):
            writer.write(b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
            await writer.drain()
            sent += len(PIECE)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async with talking_service(pour) as url, start_gateway(chat_url=url, keepalive_seconds=0.05) as gateway:
        address = urlsplit(str(gateway.base_url))
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=len(PIECE))
        writer.write(f"GET /api/ann/runs/run_1/events HTTP/1.1\r\nhost: x\r\n{_header()}\r\n\r\n".encode())
        last = -1

        async def is_stuck() -> bool:
            nonlocal last
            stuck, last = 0 < sent == last, sent
            await asyncio.sleep(0.2)  # several intervals of comments: none may be piled up either
            return stuck

        await eventually(is_stuck, what="the service is held")
        assert sent < MOST_UNDERWAY
        received = 0
        while not (piece := await reader.read(1 << 20)).endswith(b"0\r\n\r\n"):
            assert piece
            received += piece.count(b"#")
        assert received + piece.count(b"#") == PIECES * len(PIECE)
        writer.close()
        await writer.wait_closed()


async def test_a_connection_serves_again_after_a_whole_answer(gateway: httpx.AsyncClient, inside: Inside) -> None:
    inside.answer = lambda: Response(b"{}", media_type="application/json")
    for _ in range(3):
        assert (await gateway.post(CHATKIT, content=b"{}")).content == b"{}"
    inside.answer = inside.stream
    for _ in range(2):
        await inside.pieces.put(b"data: 1\n\n")
        await inside.pieces.put(None)
        assert (await gateway.post(CHATKIT, content=b"{}")).content == b"data: 1\n\n"
    assert len({request.client and request.client.port for request in inside.seen}) == 1


async def test_a_connection_serves_no_more_after_a_caller_has_gone(gateway: httpx.AsyncClient, inside: Inside) -> None:
    inside.answer = inside.stream
    async with gateway.stream("POST", CHATKIT, content=b"{}") as response:
        await inside.pieces.put(b"data: 1\n\n")
        await anext(response.aiter_raw())
    await eventually(inside.aborted.is_set, seconds=5, what="the service sees the abort")
    inside.answer = lambda: Response(b"{}", media_type="application/json")
    assert (await gateway.post(CHATKIT, content=b"{}")).content == b"{}"
    first, second = inside.seen
    assert first.client
    assert second.client
    assert first.client.port != second.client.port


@pytest.mark.parametrize(("method", "status", "asked"), [("GET", 200, 3), ("POST", 502, 2), ("DELETE", 502, 2)])
async def test_only_a_get_is_asked_again_when_its_connection_was_stale(
    start_gateway: StartGateway, method: str, status: int, asked: int
) -> None:
    """A service that restarts ends connections which the gateway believes to be idle."""
    requests: list[bytes] = []

    async def end_at_the_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        requests.append(await reader.readuntil(b"\r\n\r\n"))

    async with talking_service(end_at_the_second) as url, start_gateway(tools_url=url) as gateway:
        assert (await gateway.get("/api/ann/tasks", headers=AUTHORIZATION)).content == b"{}"
        path = "/api/ann/tasks/task_1" if method == "DELETE" else "/api/ann/tasks"
        assert (await gateway.request(method, path, headers=AUTHORIZATION)).status_code == status
        assert len(requests) == asked


async def test_a_get_is_asked_again_once_at_most(start_gateway: StartGateway) -> None:
    connections = 0

    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        if connections == 1:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            await reader.readuntil(b"\r\n\r\n")

    async with talking_service(end) as url, start_gateway(tools_url=url) as gateway:
        assert (await gateway.get("/api/ann/tasks", headers=AUTHORIZATION)).status_code == 200
        assert (await gateway.get("/api/ann/tasks", headers=AUTHORIZATION)).status_code == 502
        assert connections == 2


async def test_a_body_in_pieces_is_never_sent_in_part(start_gateway: StartGateway) -> None:
    asked: list[bytes] = []
    ended = asyncio.Event()

    async def end_at_the_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        ended.set()

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await ended.wait()
        yield b"}"

    async with talking_service(end_at_the_second) as url, start_gateway(tools_url=url) as gateway:
        assert (await gateway.get("/api/ann/tasks", headers=AUTHORIZATION)).content == b"{}"
        answer = await gateway.request("GET", "/api/ann/tasks", headers=AUTHORIZATION, content=body())
    assert (answer.status_code, len(asked)) == (502, 2)


async def test_idle_connections_end(start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service_kit.http_connections.IDLE_CONNECTION_SECONDS", 0.05)
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        with suppress(ConnectionError):
            await reader.read()
        ended.set()

    async with talking_service(answer) as url, start_gateway(tools_url=url) as gateway:
        assert (await gateway.get("/api/ann/tasks", headers=AUTHORIZATION)).status_code == 200
        await eventually(ended.is_set, seconds=5, what="the connection has ended")


async def test_an_answer_in_pieces_is_whole(start_gateway: StartGateway) -> None:
    """Plain answers come in one piece as a rule, and are passed on as one then."""

    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in (b"HTTP/1.1 200 OK\r\ncontent-le", b"ngth: 6\r\n\r\n", b"ab", b"cd", b"ef"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)  # so that each comes by itself

    async with talking_service(dribble) as url, start_gateway(tools_url=url) as gateway:
        response = await gateway.get("/api/ann/tasks", headers=AUTHORIZATION)
    assert (response.status_code, response.content) == (200, b"abcdef")


async def test_a_second_answer_is_never_passed_on(start_gateway: StartGateway) -> None:
    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = iter((b"{}", b"[]"))
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            extra = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n" + answer + extra)

    async with talking_service(repeat) as url, start_gateway(tools_url=url) as gateway:
        for _ in range(2):
            assert (await gateway.get("/api/ann/tasks", headers=AUTHORIZATION)).content == b"{}"


async def test_heads_before_the_answer_are_not_passed_on(start_gateway: StartGateway) -> None:
    async def hint(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 103 Early Hints\r\nretry-after: 9\r\n\r\n" + HEAD + b"2\r\n\n\n\r\n0\r\n\r\n")

    async with talking_service(hint) as url, start_gateway(chat_url=url) as gateway:
        response = await gateway.post(CHATKIT, headers=AUTHORIZATION)
    assert (response.status_code, response.content) == (200, b"\n\n")
    assert "retry-after" not in response.headers


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-le", b"220 smtp.example ESMTP\r\n"])
async def test_a_service_that_does_not_speak_http_is_502(start_gateway: StartGateway, answer: bytes) -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    async with talking_service(broken) as url, start_gateway(chat_url=url) as gateway:
        response = await gateway.post(CHATKIT, headers=AUTHORIZATION)
    assert (response.status_code, response.json()["code"]) == (502, "upstream_failed")


async def test_a_service_that_is_down_is_503(start_gateway: StartGateway) -> None:
    async with start_gateway(chat_url=f"http://127.0.0.1:{free_port()}") as gateway:
        response = await gateway.post(CHATKIT, headers=AUTHORIZATION)
    assert (response.status_code, response.json()["code"]) == (503, "upstream_unavailable")
    assert response.headers["retry-after"] == "1"


async def test_a_service_that_never_answers_is_504(start_gateway: StartGateway) -> None:
    over = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()

    async with talking_service(silent) as url, start_gateway(chat_url=url, stream_idle_seconds=0.1) as gateway:
        response = await gateway.post(CHATKIT, headers=AUTHORIZATION)
        over.set()
    assert (response.status_code, response.json()["code"]) == (504, "upstream_timeout")


async def test_more_streams_than_connections_are_refused(start_gateway: StartGateway, inside: Inside) -> None:
    inside.answer = inside.stream
    async with (
        start_gateway(upstream_connections=1) as gateway,
        gateway.stream("POST", CHATKIT, headers=AUTHORIZATION) as response,
    ):
        assert response.status_code == 200
        assert (await gateway.post(CHATKIT, headers=AUTHORIZATION)).status_code == 503
        await inside.pieces.put(None)


async def test_connections_that_are_being_made_count(start_gateway: StartGateway) -> None:
    limit, connections, over = 2, 0, asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        await over.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    async with talking_service(wait) as url, start_gateway(chat_url=url, upstream_connections=limit) as gateway:
        asking = [asyncio.create_task(gateway.post(CHATKIT, headers=AUTHORIZATION)) for _ in range(10)]
        await eventually(lambda: sum(task.done() for task in asking) == len(asking) - limit, what="the others are told")
        over.set()
        answers = [(await task).status_code for task in asking]
    assert (sorted(answers), connections) == ([200] * limit + [503] * (len(asking) - limit), limit)


async def test_comments_fill_silence(start_gateway: StartGateway, inside: Inside) -> None:
    inside.answer = inside.stream
    async with (
        start_gateway(keepalive_seconds=0.02) as gateway,
        gateway.stream("POST", CHATKIT, headers=AUTHORIZATION) as response,
    ):
        assert await anext(response.aiter_raw()) == KEEP_ALIVE
        await inside.pieces.put(None)


def _header() -> str:
    return f"authorization: {AUTHORIZATION['Authorization']}"
