"""An exchange passes on what came over its connection at once as one piece."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from service_kit.http_chunks import chunk_of
from service_kit.http_exchange import BrokenAnswerError, Exchange
from tests.support.silent_line import SilentLine

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNK = b"5\r\nevent\r\n"


async def test_events_of_one_read_are_one_piece() -> None:
    line, taken = SilentLine(), list[bytes]()
    exchange = Exchange(line, asyncio.get_running_loop(), is_first=True)
    exchange.feed(HEAD + CHUNK + CHUNK)
    assert not line.is_reading  # nobody takes them yet

    def take(piece: bytes) -> bool:
        taken.append(piece)
        return len(taken) != 2

    delivery = asyncio.create_task(exchange.deliver(take))
    await asyncio.sleep(0)
    assert (taken, line.is_reading) == ([b"eventevent"], True)
    exchange.feed(CHUNK * 3)
    assert (taken[1:], line.is_reading) == ([b"event" * 3], False)  # the sink has had enough
    exchange.resume()
    exchange.feed(CHUNK + b"0\r\n\r\n")
    await delivery
    assert taken[2:] == [b"event"]


async def test_a_sink_that_has_enough_at_once_is_given_no_more() -> None:
    line = SilentLine()
    exchange = Exchange(line, asyncio.get_running_loop(), is_first=True)
    exchange.feed(HEAD + CHUNK)
    delivery = asyncio.create_task(exchange.deliver(lambda _: False))
    await asyncio.sleep(0)
    assert not line.is_reading
    exchange.feed(b"0\r\n\r\n")
    await delivery


EVENT = b"data: 1\n\n"
LAST = b"0\r\n\r\n"


class _Taker:
    """Takes what an exchange delivers, whole chunks apart from everything else."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.pieces: list[bytes] = []
        self.all = b""
        self.takes_chunks = True

    def take_chunk(self, chunk: bytes) -> bool:
        if self.takes_chunks:
            self.chunks.append(chunk)
            self.all += chunk[chunk.index(b"\n") + 1 : -2]
        return self.takes_chunks

    def take(self, piece: bytes) -> bool:
        self.pieces.append(piece)
        self.all += piece
        return True


@asynccontextmanager
async def _delivering(taker: _Taker, first: bytes = HEAD) -> AsyncGenerator[tuple[Exchange, asyncio.Task[None]]]:
    """Begin an answer and have it delivered; the delivery is over, one way or the other, when the block is."""
    exchange = Exchange(SilentLine(), asyncio.get_running_loop(), is_first=True)
    exchange.feed(first)
    delivery = asyncio.create_task(exchange.deliver(taker.take, taker.take_chunk))
    await asyncio.sleep(0)
    yield exchange, delivery
    exchange.fail(BrokenAnswerError())
    await asyncio.wait([delivery])


async def test_a_chunk_by_itself_is_delivered_as_it_came() -> None:
    taker = _Taker()
    async with _delivering(taker, HEAD + chunk_of(EVENT)) as (exchange, delivery):
        exchange.feed(chunk_of(EVENT))
        exchange.feed(chunk_of(EVENT * 20))
        exchange.feed(chunk_of(EVENT) + chunk_of(EVENT))  # two are parsed
        exchange.feed(chunk_of(EVENT))
        taker.takes_chunks = False
        exchange.feed(chunk_of(EVENT))  # so is what is not taken
        exchange.feed(LAST)
        await delivery
    assert taker.chunks == [chunk_of(EVENT), chunk_of(EVENT * 20), chunk_of(EVENT)]
    assert taker.pieces == [EVENT, EVENT * 2, EVENT]
    assert exchange.raw_headers == [(b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize("most", range(1, 60))
async def test_a_body_is_the_same_wherever_it_is_cut(most: int) -> None:
    """Sizes, ends of lines, extensions and trailers come in parts, and bodies that look like chunks."""
    bodies = [EVENT, chunk_of(EVENT), b"\r\n", LAST, EVENT * 4, b"a\r\n", chunk_of(chunk_of(EVENT)) * 2, EVENT]
    answer = b"".join(chunk_of(body) for body in bodies)
    answer += b"00a;name=value\r\n%b\r\n" % EVENT[:10].ljust(10) + b"0\r\ntrailer: " + EVENT[:7] + b"\r\n\r\n"
    taker = _Taker()
    async with _delivering(taker) as (exchange, delivery):
        for start in range(0, len(answer), most):
            exchange.feed(answer[start : start + most])
        await asyncio.wait_for(delivery, 5)
    assert taker.all == b"".join(bodies) + EVENT[:10].ljust(10)


@pytest.mark.parametrize(
    "odd",
    [
        b"009\r\n" + EVENT + b"\r\n",
        b"9;a=b\r\n" + EVENT + b"\r\n",
        b"A\r\n0123456789\r\n",
        b"0\r\n\r\n",
        b"9\r\n" + EVENT,
        b"9\r\n" + EVENT + b"\n\n",
        b"9 \r\n" + EVENT + b"\r\n",
        b"+9\r\n" + EVENT + b"\r\n",
        b"8\r\n" + EVENT + b"\r\n",
        b"a\r\n" + EVENT + b"\r\n",
        b"9\n" + EVENT + b"\r\n",
        b"0\r\nx: y\r\n",
        b"\r\n",
        b"",
    ],
)
async def test_what_is_odd_is_never_delivered_as_it_came(odd: bytes) -> None:
    taker = _Taker()
    async with _delivering(taker) as (exchange, _):
        exchange.feed(chunk_of(EVENT))
        before = len(taker.chunks)
        exchange.feed(odd)
        assert len(taker.chunks) == before


@pytest.mark.parametrize("begun", [b"1", b"e\r\n", b"10\r\n\r\n", b"e;", b"9\r\n" + EVENT, b"0\r\n", b"0\r\nx: y\r\n"])
async def test_what_looks_like_a_chunk_is_none_behind_something_unfinished(begun: bytes) -> None:
    taker = _Taker()
    async with _delivering(taker) as (exchange, _):
        exchange.feed(chunk_of(EVENT))
        before = len(taker.chunks)
        exchange.feed(begun)
        exchange.feed(chunk_of(EVENT))
        assert len(taker.chunks) == before


async def test_nothing_is_delivered_after_a_failure() -> None:
    taker = _Taker()
    async with _delivering(taker, HEAD + chunk_of(EVENT)) as (exchange, delivery):
        exchange.fail(TimeoutError())
        exchange.feed(chunk_of(EVENT))
        with pytest.raises(TimeoutError):
            await delivery
    assert (taker.pieces, taker.chunks) == ([EVENT], [])


async def test_nothing_is_delivered_after_the_end() -> None:
    taker = _Taker()
    async with _delivering(taker, HEAD + chunk_of(EVENT)) as (exchange, delivery):
        exchange.feed(LAST)
        exchange.feed(chunk_of(EVENT))
        await delivery
    assert (taker.pieces, taker.chunks) == ([EVENT], [])


async def test_only_a_body_in_chunks_is_looked_at_for_chunks() -> None:
    taker = _Taker()
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(chunk_of(EVENT))
    async with _delivering(taker, head) as (exchange, delivery):
        exchange.feed(chunk_of(EVENT))
        await asyncio.wait_for(delivery, 5)
    assert (taker.pieces, taker.chunks) == ([chunk_of(EVENT)], [])
