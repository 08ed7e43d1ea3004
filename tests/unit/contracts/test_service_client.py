"""Asking a service: what is sent, and what comes back whole."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from service_kit.http_exchange import BrokenAnswerError
from service_kit.service_client import open_service
from tests.support.servers import eventually
from tests.support.tiny_service import ANSWER_EARLY, Asked, answer, answering, tiny_service

BIG = bytes(range(256)) * 32_768
"""8 MB: far more than the sockets on the way hold."""


async def test_a_request_arrives_and_its_answer_comes_back() -> None:
    async with tiny_service(answering(answer(b'{"a": 1}', 429, b"Retry-After: 7"))) as tiny:
        async with open_service(f"{tiny.url}/base/") as service:
            got = await service.request("PUT", "/x%20y?q=a+b", {"X-Request-Id": "r"}, b"body")
            assert (got.status, got.content) == (429, b'{"a": 1}')
            assert (got.header(b"retry-after"), got.header(b"other")) == (b"7", None)
            await service.request("GET", "/")
        first, second = tiny.requests
    assert (first.method, first.target, first.body) == ("PUT", "/base/x%20y?q=a+b", b"body")
    host = tiny.url.removeprefix("http://")
    assert first.headers == {"host": host, "x-request-id": "r", "content-length": "4"}
    assert second.headers == {"host": host}


async def test_a_connection_is_used_again_and_again() -> None:
    async with tiny_service(answering(answer())) as tiny, open_service(tiny.url) as service:
        for _ in range(5):
            await service.request("POST", "/")
        assert tiny.connections == 1
        await asyncio.gather(*(service.request("GET", "/") for _ in range(3)))
        assert tiny.connections == 3


async def test_one_that_the_service_ends_is_not() -> None:
    async with tiny_service(answering(answer(b"{}", 200, b"Connection: close"))) as tiny:
        async with open_service(tiny.url) as service:
            for _ in range(2):
                assert (await service.request("POST", "/")).content == b"{}"
        assert tiny.connections == 2


async def test_an_answer_in_pieces_is_whole() -> None:
    async def dribble(asked: Asked, writer: asyncio.StreamWriter) -> None:
        for piece in (
            b"HTTP/1.1 200 OK\r\ntransfer-enc",
            b"oding: chunked\r\n\r\n2\r\nab\r\n",
            b"2\r\ncd\r\n",
            b"0\r\n\r\n",
        ):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)  # so that each comes by itself

    async with tiny_service(dribble) as tiny, open_service(tiny.url) as service:
        for _ in range(2):
            assert (await service.request("GET", "/")).content == b"abcd"
        assert tiny.connections == 1


async def test_big_answers_and_bodies_are_whole() -> None:
    async def echo(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(asked.body))

    async def pieces() -> AsyncGenerator[bytes]:
        yield b""
        for start in range(0, len(BIG), 65_536):
            yield BIG[start : start + 65_536]
            yield b""

    async with tiny_service(echo) as tiny, open_service(tiny.url) as service:
        assert (await service.request("PUT", "/", body=BIG)).content == BIG
        assert (await service.request("PUT", "/", body=pieces())).content == BIG
        assert [asked.headers.get("transfer-encoding") for asked in tiny.requests] == [None, "chunked"]
        assert tiny.connections == 1


async def test_what_an_iterated_body_raises_is_raised() -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        yield b"begun"
        raise TimeoutError("of the source")

    async with tiny_service(answering(answer())) as tiny, open_service(tiny.url) as service:
        with pytest.raises(TimeoutError, match="of the source"):
            await service.request("PUT", "/", body=pieces(), idempotent=True)
        await eventually(lambda: tiny.ended == 1, what="the half of a request has ended")
        assert (await service.request("GET", "/")).status == 200


async def test_an_answer_may_come_before_the_body_is_sent() -> None:
    """The connection is of no use then: the rest of the body would stand before the next request."""
    has_ended = asyncio.Event()

    async def endless() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b"#" * 65_536
        finally:
            has_ended.set()

    async with tiny_service(answering(answer(b"too much", 413))) as tiny, open_service(tiny.url) as service:
        got = await service.request("PUT", "/", {ANSWER_EARLY: "yes"}, endless())
        assert (got.status, got.content) == (413, b"too much")
        await asyncio.wait_for(has_ended.wait(), 5)
        await service.request("GET", "/")
        assert [asked.connection for asked in tiny.requests] == [1, 2]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: b", "a\nb", "a\rb", "a\0b", "ä"])
async def test_a_header_is_one_line(value: str) -> None:
    async with tiny_service(answering(answer())) as tiny, open_service(tiny.url) as service:
        with pytest.raises(ValueError, match=r"one line|ascii"):
            await service.request("GET", "/", {"Idempotency-Key": value})
        assert tiny.requests == []


@pytest.mark.parametrize("path", ["", "a", "/a b", "/a\r\nX-Evil: b", "/ä", "http://other.example/"])
async def test_a_path_is_quoted(path: str) -> None:
    async with tiny_service(answering(answer())) as tiny, open_service(tiny.url) as service:
        with pytest.raises(ValueError, match="not quoted"):
            await service.request("GET", path)
        assert tiny.requests == []


async def test_a_ping_is_answered_with_200_or_raises() -> None:
    async with tiny_service(answering(answer(), answer(b"{}", 503))) as tiny, open_service(tiny.url) as service:
        await service.ping("/readyz")
        with pytest.raises(BrokenAnswerError, match="503"):
            await service.ping("/readyz")
        assert [asked.target for asked in tiny.requests] == ["/readyz", "/readyz"]
