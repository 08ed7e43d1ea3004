"""Answers that are read piece by piece, and the bound on a service's silence."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from service_kit.answers import LateAnswerError, Silence
from service_kit.http_exchange import BrokenAnswerError, Exchange
from service_kit.service_client import open_service
from tests.support.servers import eventually
from tests.support.tiny_service import Asked, answer, tiny_service

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
PIECE = b"#" * 65_536
PIECES = 512
MOST_UNDERWAY = PIECES // 2
"""Pieces: far above what the sockets on the way hold."""


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


async def test_a_body_comes_piece_by_piece_and_no_faster_than_it_is_taken() -> None:
    sent = 0

    async def pour(asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(CHUNKED)
        for _ in range(PIECES):
            writer.write(chunk(PIECE))
            await writer.drain()
            sent += 1
        writer.write(b"0\r\n\r\n")

    async with tiny_service(pour) as tiny, open_service(tiny.url) as service:
        got = await service.open("GET", "/")
        pieces = got.pieces()
        size = len(await anext(pieces))
        before = -1
        while before != sent:  # until the sockets on the way hold no more
            before = sent
            await asyncio.sleep(0.02)
        assert sent < MOST_UNDERWAY
        size += sum([len(piece) async for piece in pieces])
        assert size == PIECES * len(PIECE)
        got.close()
        await service.request("GET", "/")
        assert tiny.connections == 1


async def test_a_piece_is_there_before_the_next_is_sent() -> None:
    goes_on = asyncio.Event()

    async def hesitate(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunk(b"ab"))
        await goes_on.wait()
        writer.write(chunk(b"cd") + b"0\r\n\r\n")

    async with tiny_service(hesitate) as tiny, open_service(tiny.url) as service:
        got = await service.open("GET", "/")
        taken: list[bytes] = []
        async for piece in got.pieces():
            taken.append(piece)
            goes_on.set()
        got.close()
    assert taken == [b"ab", b"cd"]


async def test_one_that_breaks_off_says_so_after_what_has_come() -> None:
    async def break_off(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunk(b"ab"))
        await writer.drain()
        writer.close()

    async with tiny_service(break_off) as tiny, open_service(tiny.url) as service:
        got = await service.open("GET", "/")
        pieces = got.pieces()
        assert await anext(pieces) == b"ab"
        with pytest.raises(BrokenAnswerError):
            await anext(pieces)
        got.close()


async def test_silence_ends_it_but_not_while_the_reader_is_slow() -> None:
    async def fall_silent(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunk(b"ab"))
        await asyncio.Event().wait()

    async with tiny_service(fall_silent) as tiny, open_service(tiny.url, silence_seconds=0.5) as service:
        got = await service.open("GET", "/")
        pieces = got.pieces()
        assert await anext(pieces) == b"ab"
        await asyncio.sleep(0.6)  # the reader's own time
        silent_since = asyncio.get_running_loop().time()
        with pytest.raises(LateAnswerError):
            await anext(pieces)
        assert asyncio.get_running_loop().time() - silent_since > 0.4
        got.close()


async def test_a_reader_that_goes_ends_the_connection() -> None:
    async def pour(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer() if asked.target == "/mine" else CHUNKED + chunk(b"ab"))

    async with tiny_service(pour) as tiny, open_service(tiny.url, connections=1) as service:
        got = await service.open("GET", "/")
        pieces = got.pieces()
        assert await anext(pieces) == b"ab"
        got.close()
        with pytest.raises(BrokenAnswerError, match="closed"):
            await anext(pieces)
        with pytest.raises(BrokenAnswerError, match="closed"):
            await anext(got.pieces())
        assert (await service.request("GET", "/mine")).content == b"{}"
        await eventually(lambda: tiny.ended == 1, what="the connection has ended")


async def test_nothing_is_read_after_the_end_even_if_it_has_come() -> None:
    """The connection may be another exchange's by then."""

    async def answer_whole(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"ab"))

    async with tiny_service(answer_whole) as tiny, open_service(tiny.url) as service:
        begun, unread = await service.open("GET", "/"), await service.open("GET", "/")
        pieces = begun.pieces()
        assert await anext(pieces) == b"ab"
        begun.close()
        unread.close()
        for late in (pieces, unread.pieces()):
            with pytest.raises(BrokenAnswerError, match="closed"):
                await anext(late)


class _Clock:
    """A loop whose time is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: tuple[float, Callable[[], None]] | None = None

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> "_Clock":
        self.due = (self.now + delay, callback)
        return self

    def cancel(self) -> None:
        self.due = None

    def go_to(self, now: float) -> None:
        while self.due is not None and self.due[0] <= now:
            (self.now, look), self.due = self.due, None
            look()
        self.now = now


class _Failures(list[Exception]):
    def fail(self, error: Exception) -> None:
        self.append(error)


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


def silence_of(clock: _Clock, failures: _Failures) -> Silence:
    return Silence(cast("Exchange", failures), cast("Any", clock), 10)


def test_silence_is_counted_from_the_last_that_was_heard(clock: _Clock) -> None:
    failures = _Failures()
    silence = silence_of(clock, failures)
    for now in (109.0, 118.0, 127.0):
        clock.go_to(now)
        silence.heard()
    clock.go_to(136.9)
    assert failures == []
    clock.go_to(137.0)
    assert [type(error) for error in failures] == [LateAnswerError]


def test_silence_is_not_counted_while_it_is_held(clock: _Clock) -> None:
    failures = _Failures()
    silence = silence_of(clock, failures)
    silence.hold()
    clock.go_to(1000.0)
    assert failures == []
    silence.heard()
    clock.go_to(1009.9)
    assert failures == []
    clock.go_to(1020.0)
    assert len(failures) == 1
    assert clock.due is None


def test_nobody_looks_after_its_end(clock: _Clock) -> None:
    failures = _Failures()
    silence_of(clock, failures).end()
    clock.go_to(1000.0)
    assert failures == []
