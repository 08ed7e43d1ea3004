"""An exchange passes on what came over its connection at once as one piece."""

import asyncio

from service_kit.http_exchange import Exchange

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNK = b"5\r\nevent\r\n"


class _Line:
    """A connection that nothing comes over by itself."""

    host = b"service"

    def __init__(self) -> None:
        self.is_reading = True

    def write(self, data: bytes) -> None:
        """Take bytes."""

    async def drain(self) -> None:
        """Wait for nothing."""

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def release(self, *, reusable: bool) -> None:
        """End."""


async def test_events_of_one_read_are_one_piece() -> None:
    line, taken = _Line(), list[bytes]()
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
    line = _Line()
    exchange = Exchange(line, asyncio.get_running_loop(), is_first=True)
    exchange.feed(HEAD + CHUNK)
    delivery = asyncio.create_task(exchange.deliver(lambda _: False))
    await asyncio.sleep(0)
    assert not line.is_reading
    exchange.feed(b"0\r\n\r\n")
    await delivery
