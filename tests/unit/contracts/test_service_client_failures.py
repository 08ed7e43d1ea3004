"""Asking a service that closes, falls silent, breaks off or is not there, and callers that give up."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from service_kit import http_connections
from service_kit.answers import LateAnswerError
from service_kit.http_connections import ConnectionPool
from service_kit.http_exchange import BrokenAnswerError, UnreachableError
from service_kit.service_client import ServiceClient, open_service
from tests.support.ports import free_port
from tests.support.servers import eventually
from tests.support.tiny_service import Asked, Conduct, answer, answering, tiny_service

SHORT_SECONDS = 0.1
BEGUN = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab"


def make_impatient(service: ServiceClient) -> None:
    """From now on; what was asked before had to be answered, however slow the machine."""
    service._silence_seconds = SHORT_SECONDS  # pyright: ignore[reportPrivateUsage]


def closing_in(*connections: int) -> Conduct:
    """Answer the first request of each connection; close these ones at their second request."""

    async def conduct(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.connection in connections and asked.body:
            writer.close()
        else:
            writer.write(answer())

    return conduct


async def test_what_changes_nothing_is_asked_again_on_a_new_connection_if_a_kept_one_was_closed() -> None:
    async with tiny_service(closing_in(1, 2)) as tiny, open_service(tiny.url, connections=2) as service:
        await asyncio.gather(*(service.request("GET", "/") for _ in range(2)))
        assert (await service.request("POST", "/", body=b"x", idempotent=True)).status == 200
        assert {asked.connection for asked in tiny.requests[:3]} == {1, 2}
        assert [asked.connection for asked in tiny.requests[3:]] == [3]


async def test_anything_else_is_not() -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        yield b"x"

    async with tiny_service(closing_in(1, 2)) as tiny, open_service(tiny.url) as service:
        await service.request("GET", "/")
        with pytest.raises(BrokenAnswerError):
            await service.request("POST", "/", body=b"x")
        await service.request("GET", "/")
        with pytest.raises(BrokenAnswerError):
            await service.request("POST", "/", body=pieces(), idempotent=True)
        assert len(tiny.requests) == 4


@pytest.mark.parametrize("kept", [False, True], ids=["new", "begun"])
async def test_nor_is_what_a_new_connection_or_a_begun_answer_lost(kept: bool) -> None:
    async def conduct(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.body:
            writer.write(BEGUN if kept else b"")
            writer.close()
        else:
            writer.write(answer())

    async with tiny_service(conduct) as tiny, open_service(tiny.url) as service:
        if kept:
            await service.request("GET", "/")
        with pytest.raises(BrokenAnswerError):
            await service.request("POST", "/", body=b"x", idempotent=True)
        assert len(tiny.requests) == (2 if kept else 1)


async def test_a_connection_that_was_closed_while_idle_is_not_used() -> None:
    async def close_after(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer())
        writer.close()

    async with tiny_service(close_after) as tiny:
        pool = ConnectionPool(tiny.url, 1)
        for _ in range(2):
            exchange = await pool.begin()
            await exchange.send("POST", b"/", b"", b"x")
            exchange.close()
            await eventually(lambda: not pool.open, what="its end is noticed")
        pool.close()
        assert tiny.connections == 2


async def test_nor_is_one_that_has_begun_to_end() -> None:
    async with tiny_service(answering(answer())) as tiny:
        pool = ConnectionPool(tiny.url, 1)
        for _ in range(2):
            exchange = await pool.begin()
            await exchange.send("POST", b"/", b"", b"x")
            exchange.close()
            (connection,) = pool.open
            connection._transport.close()  # pyright: ignore[reportPrivateUsage] - as the service's end does
        pool.close()
        assert tiny.connections == 2


async def test_idle_connections_end_before_the_service_ends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connections, "IDLE_CONNECTION_SECONDS", 0.02)
    async with tiny_service(answering(answer())) as tiny, open_service(tiny.url) as service:
        await asyncio.gather(*(service.request("GET", "/") for _ in range(3)))
        await eventually(lambda: tiny.ended == 3, what="all have ended")


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"220 smtp.example ESMTP\r\n",
        BEGUN,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nno number\r\nab\r\n",
    ],
)
async def test_a_broken_answer_is_an_error(broken: bytes) -> None:
    async def conduct(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(broken)
        writer.close()

    async with tiny_service(conduct) as tiny, open_service(tiny.url) as service:
        with pytest.raises(BrokenAnswerError):
            await service.request("GET", "/", idempotent=True)
        assert len(tiny.requests) == 1


@pytest.mark.parametrize("begun", [b"", BEGUN], ids=["at all", "any more"])
async def test_a_service_that_says_nothing_is_late(begun: bytes) -> None:
    async def fall_silent(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.body:
            writer.write(begun)
            await asyncio.Event().wait()
        writer.write(answer())

    async with tiny_service(fall_silent) as tiny, open_service(tiny.url) as service:
        await service.request("GET", "/")
        make_impatient(service)
        with pytest.raises(LateAnswerError):
            await service.request("POST", "/", body=b"x", idempotent=True)
        assert len(tiny.requests) == 2


async def test_nobody_there_is_unreachable() -> None:
    async with open_service(f"http://127.0.0.1:{free_port()}") as service:
        with pytest.raises(UnreachableError):
            await service.request("GET", "/")


@pytest.mark.parametrize("begun", [b"", BEGUN], ids=["unanswered", "half answered"])
async def test_a_caller_that_gives_up_leaves_no_connection_behind(begun: bytes) -> None:
    """What comes of that answer later is nobody's: the next caller gets another connection, and has its place."""
    has_come = asyncio.Event()

    async def conduct(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.target == "/mine":
            writer.write(answer(b"mine"))
            return
        writer.write(begun)
        has_come.set()
        await asyncio.Event().wait()

    async with tiny_service(conduct) as tiny, open_service(tiny.url, connections=1) as service:
        asking = asyncio.create_task(service.request("GET", "/theirs"))
        await has_come.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await service.request("GET", "/mine")).content == b"mine"
        assert [asked.connection for asked in tiny.requests] == [1, 2]


async def test_callers_wait_for_a_connection() -> None:
    async with tiny_service(answering(answer())) as tiny, open_service(tiny.url, connections=2) as service:
        answers = await asyncio.gather(*(service.request("GET", "/") for _ in range(20)))
        assert [got.status for got in answers] == [200] * 20
        assert tiny.connections == 2


async def test_but_not_for_ever() -> None:
    async def hold(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(BEGUN)

    async with tiny_service(hold) as tiny, open_service(tiny.url, connections=1) as service:
        held = await service.open("GET", "/")
        make_impatient(service)
        with pytest.raises(LateAnswerError, match="no free connection"):
            await service.request("GET", "/")
        held.close()
        assert len(tiny.requests) == 1


async def test_a_closed_client_fails_what_is_asked_and_asks_no_more() -> None:
    has_come = asyncio.Event()

    async def hold(asked: Asked, writer: asyncio.StreamWriter) -> None:
        has_come.set()
        await asyncio.Event().wait()

    async with tiny_service(hold) as tiny:
        async with open_service(tiny.url) as service:
            asking = asyncio.create_task(service.request("GET", "/"))
            await has_come.wait()
        with pytest.raises(BrokenAnswerError):
            await asking
        with pytest.raises(UnreachableError, match="closed"):
            await service.request("GET", "/")
        assert tiny.connections == 1
