"""An answer that has begun is not ended by what becomes of its request."""

import asyncio
from collections.abc import AsyncIterator

from service_kit.http_exchange import Exchange
from tests.support.silent_line import SilentLine


async def test_a_body_that_fails_as_its_answer_begins_does_not_end_the_answer() -> None:
    exchange = Exchange(SilentLine(), asyncio.get_running_loop(), is_first=True)

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        exchange.feed(b"HTTP/1.1 422 No\r\ncontent-length: 2\r\n\r\n")
        raise ValueError("too large")

    await exchange.send("POST", b"/", b"", body())
    exchange.feed(b"{}")
    await exchange.deliver(lambda _: True)
    assert exchange.status == 422
