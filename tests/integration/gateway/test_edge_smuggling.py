"""Requests that two servers could read in two ways never reach a service, nor does what follows them."""

import pytest

from tests.integration.gateway.callers import GET, POST, connection, told
from tests.integration.gateway.conftest import Inside, StartGateway
from tests.support.servers import eventually

CHUNKED = b"Transfer-Encoding: chunked\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
HIDDEN = b"0\r\n\r\nGET /api/ann/conversations HTTP/1.1\r\nHost: x\r\n\r\n"
START = GET.partition(b"\r\n")[0] + b"\r\n"
REST = GET.partition(b"\r\n")[2]

AMBIGUOUS = {
    "length and chunks": POST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n" + HIDDEN,
    "chunks and length": POST + CHUNKED + b"Content-Length: 5\r\n\r\n" + HIDDEN,
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + HIDDEN,
    "the same length twice": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n" + HIDDEN,
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\n" + HIDDEN,
    "a signed length": POST + b"Content-Length: +5\r\n\r\n" + HIDDEN,
    "a length in hexadecimal": POST + b"Content-Length: 0x5\r\n\r\n" + HIDDEN,
    "a huge length": POST + b"Content-Length: 99999999999999999999\r\n\r\n" + HIDDEN,
    "no length": POST + b"Content-Length: \r\n\r\n" + HIDDEN,
    "a space before the colon": POST + b"Content-Length : 5\r\n\r\n" + HIDDEN,
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + HIDDEN,
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n" + HIDDEN,
    "two codings": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + HIDDEN,
    "chunked not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + HIDDEN,
    "chunked twice": POST + CHUNKED + CHUNKED + b"\r\n" + HIDDEN,
    "a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + HIDDEN,
    "chunks in HTTP/1.0": POST.replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNKED + b"\r\n" + HIDDEN,
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + HIDDEN,
    "a folded length": POST + b"Content-Length:\r\n 5\r\n\r\n" + HIDDEN,
    "a folded header": START + b"X: a\r\n b\r\n" + REST,
    "bare line feeds": GET.replace(b"\r\n", b"\n"),
    "one bare line feed": START + b"X: a\n" + REST,
    "a bare carriage return": START + b"X: a\rY: b\r\n" + REST,
    "an end of bare line feeds": GET[:-2] + b"\n",
    "NUL in a value": START + b"X: a\0b\r\n" + REST,
    "NUL in a name": START + b"X\0: a\r\n" + REST,
    "NUL in the path": b"GET /\0 HTTP/1.1\r\n" + REST,
    "a control character": START + b"X: a\x01b\r\n" + REST,
    "a line without a colon": START + b"Xab\r\n" + REST,
    "no name": START + b": b\r\n" + REST,
    "a space before the first header": START + b" " + REST,
    "no host": b"GET /api/ann/tasks HTTP/1.1\r\n\r\n",
    **{
        f"{host!r} as host": GET.replace(b"Host: x", b"Host: " + host)
        for host in (b"a b", b"a, b", b"a/b", b"a@b", b"a?b", b"a\\b", b"x:y", b"[::1", "é".encode())
    },
    "no host in HTTP/1.0 either": GET.replace(b"HTTP/1.1\r\nHost: x", b"HTTP/1.0\r\nHost: a/b"),
    "two hosts": START + b"Host: y\r\n" + REST,
    "two tokens": START + b"Authorization: Bearer a.b.c\r\n" + REST,
    "CONNECT": b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n" + GET,
    "a tab in the first line": GET.replace(b"GET ", b"GET\t"),
    "a path that is no ASCII": "GET /é HTTP/1.1\r\n".encode() + REST,
    "a body behind an upgrade": POST + UPGRADE + b"Content-Length: 5\r\n\r\n" + HIDDEN,
    "chunks behind an upgrade": POST + UPGRADE + CHUNKED + b"\r\n" + HIDDEN,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.2": GET.replace(b"HTTP/1.1", b"HTTP/1.2"),
    "a lower-case method": GET.replace(b"GET ", b"get "),
}

BROKEN_CHUNKS = {
    "a size in C's notation": b"0x5\r\n12345\r\n0\r\n\r\n",
    "a size that overflows": b"fffffffffffffffff\r\n12345\r\n0\r\n\r\n",
    "a space after the size": b"5 \r\n12345\r\n0\r\n\r\n",
    "bare line feeds": b"5\n12345\n0\n\n",
    "a bare line feed after the data": b"5\r\n12345\n0\r\n\r\n",
    "a bare line feed in an extension": b"5;a\n12345\r\n0\r\n\r\n",
    "data longer than its size": b"5\r\n123456\r\n0\r\n\r\n",
}


async def test_ambiguous_heads_are_refused(start_gateway: StartGateway, inside: Inside) -> None:
    async with start_gateway() as gateway:
        answers = {name: await told(gateway, data) for name, data in AMBIGUOUS.items()}
    assert answers == dict.fromkeys(AMBIGUOUS, (400, "malformed_request"))
    assert inside.seen == []


@pytest.mark.parametrize("version", [b"HTTP/0.9", b"HTTP/2.0"])
async def test_other_versions_are_refused(start_gateway: StartGateway, inside: Inside, version: bytes) -> None:
    async with start_gateway() as gateway:
        assert await told(gateway, GET.replace(b"HTTP/1.1", version)) == (505, "http_version_not_supported")
    assert inside.seen == []


async def test_broken_chunks_are_refused(start_gateway: StartGateway, inside: Inside) -> None:
    async with start_gateway() as gateway:
        request = POST + CHUNKED + b"\r\n"
        answers = {name: await told(gateway, request + chunks) for name, chunks in BROKEN_CHUNKS.items()}
    assert answers == dict.fromkeys(BROKEN_CHUNKS, (400, "malformed_request"))
    assert inside.bodies == []


async def test_garbage_behind_a_request_answers_nothing_in_its_place(
    start_gateway: StartGateway, inside: Inside
) -> None:
    inside.answer = inside.stream
    async with start_gateway() as gateway, connection(gateway) as caller:
        caller.send(GET)
        await eventually(lambda: bool(inside.seen), what="the request is under way")
        caller.send(b"\0garbage\r\n\r\n")
        assert b"malformed" not in await caller.rest()
        await eventually(inside.aborted.is_set, what="the service is told that the caller has gone")


async def test_pipelined_requests_are_answered_in_order(start_gateway: StartGateway, inside: Inside) -> None:
    async with start_gateway() as gateway, connection(gateway) as caller:
        other = GET.replace(b"/tasks", b"/conversations")
        caller.send(GET + other + GET + other[:-2] + b"Connection: close\r\n\r\n")
        assert (await caller.rest()).count(b"HTTP/1.1 200") == 4
    assert [line.partition("?")[0] for line in inside.lines] == ["GET /tasks", "GET /conversations"] * 2


async def test_too_many_pipelined_requests_end_the_connection(start_gateway: StartGateway, inside: Inside) -> None:
    async with start_gateway() as gateway, connection(gateway) as caller:
        caller.send(GET * 1000)
        await caller.rest()
        assert len(inside.seen) <= 1


async def test_a_caller_that_goes_ends_the_request_that_runs(start_gateway: StartGateway, inside: Inside) -> None:
    inside.answer = inside.stream
    async with start_gateway() as gateway:
        async with connection(gateway) as caller:
            caller.send(GET + GET)
            await eventually(lambda: bool(inside.seen), what="the first request is under way")
        await eventually(inside.aborted.is_set, what="the service is told that the caller has gone")
        assert len(inside.seen) == 1


async def test_an_upgrade_is_not_made_and_ends_the_connection(start_gateway: StartGateway, inside: Inside) -> None:
    upgrade = GET[:-2] + UPGRADE
    for protocol in (b"h2c", b"websocket"):
        async with start_gateway() as gateway, connection(gateway) as caller:
            caller.send(upgrade.replace(b"h2c", protocol) + b"Content-Length: 0\r\n\r\n" + GET)
            received = await caller.rest()
            assert received.count(b"HTTP/1.1 200") == received.count(b"HTTP/1.1") == 1
            assert b"connection: close" in received
    assert len(inside.seen) == 2
