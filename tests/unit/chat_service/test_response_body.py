"""Writing a streamed body without a task, and with one where the client is slow."""

import asyncio

import pytest
from starlette.types import Message

from chat_service.relay.outlet import ResponseBody


class Server:
    """ASGI's `send` of a server with flow control."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.is_broken = False

    async def send(self, message: Message) -> None:
        """Take the message when the client takes it."""
        while not self.takes.is_set():
            await self.takes.wait()
        if self.is_broken:
            raise OSError("broken")
        await self._in_a_middleware(message)

    async def _in_a_middleware(self, message: Message) -> None:
        assert message["more_body"] is True
        self.sent.append(message["body"])


async def test_a_client_that_keeps_up_is_written_to_at_once() -> None:
    server = Server()
    body = ResponseBody(server.send)
    assert body.offer(b"one")
    assert body.offer(b"two")
    assert server.sent == [b"one", b"two"]
    await body.drain()


async def test_a_slow_client_is_waited_for() -> None:
    server = Server()
    body = ResponseBody(server.send)
    server.takes.clear()
    assert not body.offer(b"one")
    draining = asyncio.create_task(body.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    server.takes.set()
    await draining
    await body.write(b"two")
    assert server.sent == [b"one", b"two"]


async def test_a_client_that_recovers_before_anybody_waits() -> None:
    server = Server()
    body = ResponseBody(server.send)
    server.takes.clear()
    assert not body.offer(b"one")
    server.takes.set()
    await body.write(b"two")
    assert server.sent == [b"one", b"two"]


@pytest.mark.parametrize("is_slow", [False, True])
async def test_what_keeps_a_chunk_from_being_written_is_raised_by_drain(is_slow: bool) -> None:
    server = Server()
    body = ResponseBody(server.send)
    server.is_broken = True
    if is_slow:
        server.takes.clear()
    assert not body.offer(b"one")
    server.takes.set()
    with pytest.raises(OSError, match="broken"):
        await body.drain()
    await body.drain()
