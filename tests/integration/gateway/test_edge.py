"""The edge on real sockets: slow, large and ambiguous requests end with a problem, or with their connection."""

import asyncio
import logging

import pytest
from prometheus_client import REGISTRY

from gateway.edge.protocol import LEFT_BYTES
from tests.integration.gateway.callers import GET, POST, TOKEN, connection, problem_of, told
from tests.integration.gateway.conftest import Inside, StartGateway, secret_token
from tests.support.servers import eventually

SHORT = {"edge_head_seconds": 0.4, "edge_body_idle_seconds": 0.4}


async def test_a_connection_that_sends_nothing_is_closed(start_gateway: StartGateway) -> None:
    async with start_gateway(**SHORT) as gateway, connection(gateway) as caller:
        assert await caller.rest() == b""


@pytest.mark.parametrize("between", [b"", b"x"])
async def test_a_head_must_be_complete_in_time(start_gateway: StartGateway, inside: Inside, between: bytes) -> None:
    async with start_gateway(**SHORT) as gateway, connection(gateway) as caller:
        caller.send(GET[:-4] + b"\r\nX-Slow: ")
        reading = asyncio.create_task(caller.rest())
        while not reading.done():
            caller.send(between)
            await asyncio.sleep(0.02)  # drop by drop: what the test is about
        assert problem_of(reading.result()) == (408, "request_timeout")
    assert inside.seen == []


async def test_a_second_head_must_be_complete_in_time_as_well(start_gateway: StartGateway) -> None:
    async with start_gateway(**SHORT) as gateway, connection(gateway) as caller:
        caller.send(GET)
        assert (await caller.answer()).startswith(b"HTTP/1.1 200")
        caller.send(b"\r\nGET /")
        assert problem_of(await caller.rest()) == (408, "request_timeout")


async def test_a_body_must_make_progress(start_gateway: StartGateway, inside: Inside) -> None:
    # Its slowness is not its service's, which would have to answer sooner.
    async with start_gateway(**SHORT, stream_idle_seconds=0.2) as gateway, connection(gateway) as caller:
        caller.send(POST + b"Content-Length: 500000\r\n\r\n" + b"x" * 100)
        reading = asyncio.create_task(caller.rest())
        while not reading.done():
            caller.send(b"x")
            await asyncio.sleep(0.02)  # drop by drop: what the test is about
        assert problem_of(reading.result()) == (408, "request_timeout")
        assert inside.bodies == []


async def test_a_slow_body_that_makes_progress_arrives(start_gateway: StartGateway, inside: Inside) -> None:
    pieces = 6
    settings = {"edge_body_idle_seconds": 1.0, "stream_idle_seconds": 1.0}
    async with start_gateway(**settings) as gateway, connection(gateway) as caller:
        caller.send(POST + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % (pieces * 2048))
        for _ in range(pieces):
            caller.send(b"x" * 2048)
            await asyncio.sleep(0.2)  # longer in all than the body may idle, or the service be silent
        assert (await caller.rest()).startswith(b"HTTP/1.1 200")
    assert inside.bodies == [b"x" * pieces * 2048]


async def test_a_caller_that_leaves_within_its_body_is_no_failure_of_ours(
    start_gateway: StartGateway, caplog: pytest.LogCaptureFixture
) -> None:
    answered = {"service": "gateway", "method": "POST", "route": "/api/{user_id}/chatkit/session", "status": "422"}

    def refusals() -> float:
        return REGISTRY.get_sample_value("threadkeep_http_requests_total", answered) or 0

    before = refusals()
    async with start_gateway() as gateway:
        async with connection(gateway) as caller:
            caller.send(POST.replace(b"/chatkit ", b"/chatkit/session ") + b"Content-Length: 20\r\n\r\n{")
        await eventually(lambda: refusals() > before, what="the request is given up")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_connection_whose_body_came_after_the_answer_may_not_idle_for_ever(
    start_gateway: StartGateway,
) -> None:
    unsigned = POST.partition(b"Authorization")[0] + b"Content-Length: 2\r\n\r\n"
    # The shortest of the edge's times says how often it looks.
    settings = {"idle_seconds": 0.2, "edge_write_idle_seconds": 0.4}
    async with start_gateway(**settings) as gateway, connection(gateway) as caller:
        caller.send(unsigned)
        assert (await caller.answer()).startswith(b"HTTP/1.1 401")
        caller.send(b"{}")
        assert await caller.rest() == b""


async def test_what_nobody_reads_does_not_come_without_end(start_gateway: StartGateway, inside: Inside) -> None:
    inside.answer = inside.stream
    unsigned = POST.partition(b"Authorization")[0]
    upgrade = GET[:-2] + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with start_gateway() as gateway:
        async with connection(gateway) as caller:
            caller.send(unsigned + b"Content-Length: %d\r\n\r\n" % (LEFT_BYTES * 3))
            assert (await caller.answer()).startswith(b"HTTP/1.1 401")
            caller.send(b"x" * LEFT_BYTES * 2)
            assert await caller.rest() == b""
        async with connection(gateway) as caller:
            caller.send(upgrade)
            assert (await caller.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            caller.send(b"x" * LEFT_BYTES * 2)
            assert await caller.rest() == b""
            await eventually(inside.aborted.is_set, what="the service is told that the caller has gone")


async def test_a_body_that_was_refused_may_come_nevertheless(start_gateway: StartGateway) -> None:
    unsigned = POST.partition(b"Authorization")[0]
    async with start_gateway() as gateway, connection(gateway) as caller:
        for _ in range(2):
            caller.send(unsigned + b"Content-Length: %d\r\n\r\n" % LEFT_BYTES)
            assert (await caller.answer()).startswith(b"HTTP/1.1 401")
            caller.send(b"x" * LEFT_BYTES)
        caller.send(GET)
        assert (await caller.answer()).startswith(b"HTTP/1.1 200")


async def test_callers_that_know_no_chunks_get_none(start_gateway: StartGateway, inside: Inside) -> None:
    inside.answer = inside.stream
    await inside.pieces.put(b"data: 1\n\n")
    async with start_gateway() as gateway, connection(gateway) as caller:
        caller.send(GET.replace(b"/tasks HTTP/1.1", b"/runs/run_1/events HTTP/1.0"))
        head, _, body = (await caller.until(b"data: 1\n\n")).partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head.lower()
        assert b"connection: close" in head.lower()
        await inside.pieces.put(b"data: 2\n\n")
        await inside.pieces.put(None)
        assert body + await caller.rest() == b"data: 1\n\ndata: 2\n\n"


async def test_nor_are_they_told_to_go_on(start_gateway: StartGateway, inside: Inside) -> None:
    async with start_gateway() as gateway, connection(gateway) as caller:
        caller.send(POST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}")
        assert (await caller.rest()).startswith(b"HTTP/1.1 200")
    assert inside.bodies == [b"{}"]


async def test_a_pipelined_request_is_not_logged_in_the_name_of_the_one_before(
    start_gateway: StartGateway, inside: Inside, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_gateway() as gateway, connection(gateway) as caller:
        caller.send(
            GET + GET.replace(TOKEN.encode(), secret_token(secret="another secret of 32 bytes or more").encode())
        )
        answers = [(await caller.answer()).split()[1] for _ in range(2)]
    assert answers == [b"200", b"401"]
    (refusal,) = [line for line in capsys.readouterr().out.splitlines() if "public_token_refused" in line]
    assert "principal" not in refusal


LARGE_HEADS = {
    "a large header": GET[:-2] + b"X: " + b"x" * 40_000 + b"\r\n\r\n",
    "a header without an end": GET[:-2] + b"X: " + b"x" * 400_000,
    "a large path": b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a large name": GET[:-2] + b"x" * 40_000,
    "many headers": GET[:-2] + b"".join(b"X-%d: 1\r\n" % number for number in range(101)) + b"\r\n",
    "headers without an end": GET[:-2] + b"a:\r\n" * 100_000,
}


async def test_heads_are_bounded(start_gateway: StartGateway, inside: Inside) -> None:
    async with start_gateway() as gateway:
        answers = {name: await told(gateway, data) for name, data in LARGE_HEADS.items()}
    assert answers == dict.fromkeys(LARGE_HEADS, (431, "head_too_large"))
    assert inside.seen == []


async def test_a_large_body_beside_a_head_is_no_large_head(start_gateway: StartGateway, inside: Inside) -> None:
    body = b"x" * 300_000
    async with start_gateway(edge_max_head_bytes=1024) as gateway, connection(gateway) as caller:
        caller.send(POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert (await caller.rest()).startswith(b"HTTP/1.1 200")
    assert inside.bodies == [body]


async def test_trailers_are_no_headers_and_bounded(start_gateway: StartGateway, inside: Inside) -> None:
    chunked = POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n"
    async with start_gateway() as gateway:
        async with connection(gateway) as caller:
            caller.send(chunked + b"Idempotency-Key: trailing\r\n\r\n")
            assert (await caller.rest()).startswith(b"HTTP/1.1 200")
        assert "idempotency-key" not in inside.last.headers
        assert inside.bodies == [b"{}"]
        for endless in (b"X: 1\r\n" * 200_000, b"X: " + b"x" * 1_000_000):
            assert await told(gateway, chunked + endless) == (400, "malformed_request")
    assert len(inside.bodies) == 1


async def test_connections_of_an_address_are_bounded(start_gateway: StartGateway) -> None:
    async with start_gateway(edge_connections_per_address=2) as gateway:
        async with connection(gateway) as first, connection(gateway) as second:
            for caller in (first, second):
                caller.send(GET)
                assert (await caller.answer()).startswith(b"HTTP/1.1 200")
            async with connection(gateway) as third:
                assert problem_of(await third.rest()) == (429, "too_many_connections")

        async def has_room() -> bool:
            async with connection(gateway) as caller:
                caller.send(GET[:-2] + b"Connection: close\r\n\r\n")
                return (await caller.rest()).startswith(b"HTTP/1.1 200")

        await eventually(has_room, what="closed connections do not count")


async def test_trusted_proxies_may_hold_any_number_of_connections(start_gateway: StartGateway) -> None:
    settings = {"edge_connections_per_address": 1, "trusted_proxies": "127.0.0.0/8"}
    async with start_gateway(**settings) as gateway, connection(gateway) as first, connection(gateway) as second:
        for caller in (first, second):
            caller.send(GET)
            assert (await caller.answer()).startswith(b"HTTP/1.1 200")


async def test_all_connections_are_bounded(start_gateway: StartGateway) -> None:
    settings = {"edge_connections": 1, "trusted_proxies": "127.0.0.0/8"}
    async with start_gateway(**settings) as gateway, connection(gateway) as first:
        first.send(GET)
        await first.answer()
        async with connection(gateway) as second:
            assert problem_of(await second.rest()) == (503, "too_many_connections")


async def test_a_caller_that_takes_nothing_is_given_up(start_gateway: StartGateway, inside: Inside) -> None:
    inside.answer = inside.stream
    async with start_gateway(edge_write_idle_seconds=0.3) as gateway, connection(gateway) as caller:
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
        caller.send(POST + b"Content-Length: 2\r\n\r\n{}")

        async def is_given_up() -> bool:
            if inside.pieces.empty():
                await inside.pieces.put(b"data: " + b"x" * 1_000_000 + b"\n\n")
            return inside.aborted.is_set()

        await eventually(is_given_up, what="the service is told that the caller has gone")


async def test_a_stream_may_be_silent_for_longer_than_a_head_or_a_body(
    start_gateway: StartGateway, inside: Inside
) -> None:
    inside.answer = inside.stream
    async with start_gateway(**SHORT, edge_write_idle_seconds=0.4) as gateway, connection(gateway) as caller:
        caller.send(POST + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
        await eventually(lambda: bool(inside.seen), what="the stream has begun")
        await asyncio.sleep(1.0)  # longer than each bound
        await inside.pieces.put(b"data: 1\n\n")
        await inside.pieces.put(None)
        assert b"data: 1\n\n" in await caller.rest()
