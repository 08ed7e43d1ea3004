"""What callers are told when a service fails, and what `/readyz` says of it."""

import asyncio
import logging
from contextlib import AsyncExitStack, suppress

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from tests.integration.gateway.callers import GET, POST, connection, problem_of
from tests.integration.gateway.conftest import Inside, StartGateway, bearer, secret_token
from tests.integration.gateway.talking_service import talking_service
from tests.support.ports import free_port
from tests.support.servers import eventually

AUTHORIZATION = bearer(secret_token())


async def test_a_service_that_is_down_is_503(start_gateway: StartGateway) -> None:
    async with start_gateway(tools_url=f"http://127.0.0.1:{free_port()}") as gateway:
        response = await gateway.get("/api/ann/tasks", headers=AUTHORIZATION)
        assert (response.status_code, response.json()["code"]) == (503, "upstream_unavailable")
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["retry-after"] == "1"
        assert response.json()["request_id"] == response.headers["x-request-id"]

        ready = await gateway.get("/readyz")
        assert (ready.status_code, ready.json()["down"]) == (503, ["task-tools"])
        assert (await gateway.get("/healthz")).status_code == 200


async def test_a_gateway_whose_services_answer_is_ready(gateway: httpx.AsyncClient) -> None:
    ready = (await gateway.get("/readyz")).json()
    assert ready == {"status": "ok", "dependencies": ["chat-service", "history-service", "task-tools"]}


async def test_looking_whether_services_answer_takes_no_connection_from_others(start_gateway: StartGateway) -> None:
    async with start_gateway(upstream_connections=1) as gateway:
        assert [(await gateway.get("/readyz")).status_code for _ in range(3)] == [200] * 3


async def test_a_silent_service_is_504(start_gateway: StartGateway) -> None:
    over = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async with talking_service(silent) as url, start_gateway(tools_url=url, upstream_response_seconds=0.1) as gateway:
        response = await gateway.get("/api/ann/tasks", headers=AUTHORIZATION)
        over.set()
    assert (response.status_code, response.json()["code"]) == (504, "upstream_timeout")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"220 smtp.example ESMTP\r\n",
        b"\x00\x01\x02",
        b"HTTP/1.1 600 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
    ],
)
async def test_a_service_that_does_not_speak_http_is_502(start_gateway: StartGateway, answer: bytes) -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with talking_service(broken) as url, start_gateway(tools_url=url) as gateway:
        response = await gateway.post("/api/ann/tasks", headers=AUTHORIZATION)
    assert (response.status_code, response.json()["code"]) == (502, "upstream_failed")


async def test_an_answer_shorter_than_declared_does_not_look_whole(start_gateway: StartGateway) -> None:
    async def short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc")
        await writer.drain()
        writer.close()

    async with talking_service(short) as url, start_gateway(tools_url=url) as gateway:
        with pytest.raises(httpx.RemoteProtocolError):
            await gateway.get("/api/ann/tasks", headers=AUTHORIZATION)


async def test_a_refused_internal_token_is_our_fault(gateway: httpx.AsyncClient, inside: Inside) -> None:
    inside.answer = lambda: JSONResponse({"code": "token_invalid"}, 401, {"WWW-Authenticate": "Bearer"})
    response = await gateway.get("/api/ann/tasks")
    assert (response.status_code, response.json()["code"]) == (502, "upstream_failed")
    assert "www-authenticate" not in response.headers


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 429, 500, 503])
async def test_problems_of_services_pass_unchanged(gateway: httpx.AsyncClient, inside: Inside, status: int) -> None:
    problem = b'{"type":"about:blank","title":"T","status":404,"detail":"D","code":"c"}'
    inside.answer = lambda: Response(problem, status, media_type="application/problem+json")
    response = await gateway.get("/api/ann/tasks")
    assert (response.status_code, response.content) == (status, problem)
    assert response.headers["content-type"] == "application/problem+json"


async def test_an_answer_before_the_whole_request_is_passed_on(start_gateway: StartGateway) -> None:
    """A service that refuses early does not read the rest; the caller gets to hear why."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 3\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()
        await reader.read()
        writer.close()

    async with talking_service(refuse) as url, start_gateway(chat_url=url) as gateway:
        response = await gateway.post("/api/ann/chatkit", content=b"x" * 900_000, headers=AUTHORIZATION)
    assert (response.status_code, response.headers["retry-after"]) == (429, "3")


async def test_a_caller_that_goes_before_the_end_of_its_request_is_noticed(start_gateway: StartGateway) -> None:
    """Also by a service that has begun to answer without waiting for it."""
    gone = asyncio.Event()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(head + b"9\r\ndata: 1\n\n\r\n")
        with suppress(ConnectionError):
            await reader.read()
        gone.set()
        writer.close()

    async with talking_service(stream) as url, start_gateway(chat_url=url) as gateway:
        async with connection(gateway) as caller:
            follow = GET.replace(b"/tasks", b"/runs/run_1/events")[:-2]
            caller.send(follow + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            await caller.until(b"data: 1\n\n")
        await eventually(gone.is_set, what="the service is told that the caller has gone")


async def test_who_still_waits_when_the_gateway_stops_is_told_to_come_again(
    start_gateway: StartGateway, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[bytes] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with AsyncExitStack() as longer, talking_service(silent) as url:
        async with start_gateway(tools_url=url, chat_url=url) as gateway:
            answered, incomplete, own = [await longer.enter_async_context(connection(gateway)) for _ in range(3)]
            answered.send(GET)
            incomplete.send(POST + b"Content-Length: 2\r\n\r\n{")
            await eventually(lambda: len(asked) == 2, what="the services are asked")
            session = POST.replace(b"/chatkit ", b"/chatkit/session ")
            own.send(session + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            await own.until(b"100 Continue\r\n\r\n")  # the body is waited for
            own.send(b"{")
        for caller in (answered, incomplete, own):
            answer = await caller.rest()
            assert problem_of(answer) == (503, "upstream_unavailable")
            assert b"retry-after: 1" in answer
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_an_unknown_route_is_a_problem_too(gateway: httpx.AsyncClient) -> None:
    response = await gateway.get("/nowhere")
    assert (response.status_code, response.json()["code"]) == (404, "route_not_found")
