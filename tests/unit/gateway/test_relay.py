"""Whole chunks go to the caller's connection as they came, and never past what the caller has not taken."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from starlette.types import Message
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from contracts.frames import KEEP_ALIVE
from gateway.edge.answers import chunked_connection_of, note_answer
from gateway.forwarding.relay import BodyRelay
from service_kit.http_chunks import chunk_of
from service_kit.http_exchange import Exchange
from tests.support.servers import eventually
from tests.support.silent_line import SilentLine

EVENT = b'data: {"a":1}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


class Connection:
    """The caller's, which takes everything at once unless something is `unsent`."""

    def __init__(self) -> None:
        self.written = b""
        self.unsent = 0
        self.closing = False

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closing = True


class Relaying:
    """A relay between the two, for an answer of uvicorn's. `sent` is what went through `send`."""

    def __init__(self, *, comment_seconds: float = 60, method: str = "GET", **answer: Any) -> None:
        self.connection, self.line = Connection(), SilentLine()
        self.sent: list[bytes] = []
        transport: Any = self.connection
        self.cycle = RequestResponseCycle(
            scope=cast("Any", {"type": "http", "method": method, "state": {}}),
            transport=transport,
            flow=FlowControl(transport),
            logger=logging.getLogger(),
            access_logger=logging.getLogger(),
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=True,
            on_response=lambda: None,
        )
        note_answer(self.cycle)
        self.exchange = Exchange(self.line, asyncio.get_running_loop(), is_first=True)
        self._answer: dict[str, Any] = {"status": 200, "headers": [], **answer}
        self._comment_seconds = comment_seconds

    async def begin(self) -> None:
        await self.cycle.send(cast("Any", {"type": "http.response.start", **self._answer}))
        self.connection.written = b""
        self.exchange.feed(HEAD)
        self.task = asyncio.create_task(
            BodyRelay(
                self.exchange,
                self._send,
                chunked_connection_of(cast("Any", self.cycle.scope)),
                silence_seconds=60,
                comment_seconds=self._comment_seconds,
            ).run()
        )
        await asyncio.sleep(0)
        # The parser has to see the end of a chunk before the next one is known to begin.
        self.exchange.feed(chunk_of(EVENT))
        assert self.sent == [EVENT]

    async def _send(self, message: Message) -> None:
        if body := message["body"]:
            self.sent.append(body)
        await self.cycle.send(cast("Any", message))


@pytest.fixture
async def relaying() -> AsyncIterator[Relaying]:
    made = Relaying()
    await made.begin()
    yield made
    made.task.cancel()
    await asyncio.wait([made.task])


async def test_a_whole_chunk_is_written_as_it_came_and_the_end_is_the_servers(relaying: Relaying) -> None:
    for _ in range(3):
        relaying.exchange.feed(chunk_of(EVENT))
    assert relaying.sent == [EVENT]
    relaying.exchange.feed(LAST)
    await relaying.task
    assert relaying.connection.written == chunk_of(EVENT) * 4 + LAST
    assert relaying.cycle.response_complete


async def test_nothing_overtakes_what_a_slow_caller_has_not_taken(relaying: Relaying) -> None:
    relaying.connection.unsent = 100_000
    relaying.cycle.flow.pause_writing()
    events = [b"data: %d\n\n" % number for number in range(5)]
    relaying.exchange.feed(chunk_of(events[0]))
    assert not relaying.line.is_reading
    relaying.exchange.feed(chunk_of(events[1]))  # had been read before
    relaying.connection.unsent = 0
    relaying.cycle.flow.resume_writing()
    relaying.exchange.feed(chunk_of(events[2]))  # before anything that waits has had its turn
    await eventually(lambda: relaying.line.is_reading, seconds=5, what="the service may go on")
    relaying.exchange.feed(chunk_of(events[3]))
    assert relaying.sent == [EVENT, *events[:3]]
    relaying.connection.unsent = 1  # not slow, but something is on its way
    relaying.exchange.feed(chunk_of(events[4]))
    assert relaying.sent == [EVENT, *events[:3], events[4]]
    assert relaying.connection.written == b"".join(chunk_of(event) for event in (EVENT, *events))


async def test_nothing_is_written_for_a_caller_that_has_gone(relaying: Relaying) -> None:
    written = relaying.connection.written
    relaying.connection.closing = relaying.cycle.disconnected = True
    relaying.exchange.feed(chunk_of(EVENT))
    assert relaying.connection.written == written


@pytest.mark.parametrize("end", [b"\n\n", b"\n\r\n", b"\r\r"])
async def test_comments_stand_between_frames_alone(end: bytes) -> None:
    made = Relaying(comment_seconds=0.01)
    await made.begin()
    try:
        made.exchange.feed(chunk_of(b"data: half of an"))
        written = made.connection.written
        await asyncio.sleep(0.05)  # several intervals of silence: nothing may come
        assert made.connection.written == written
        made.exchange.feed(chunk_of(b" event" + b"." * 10 + end))
        await eventually(lambda: KEEP_ALIVE in made.sent, seconds=5, what="a comment")
    finally:
        made.task.cancel()
        await asyncio.wait([made.task])


@pytest.mark.parametrize(
    "changes", [{"method": "HEAD"}, {"headers": [(b"content-length", b"15")]}, {"status": 204}, {"status": 304}]
)
async def test_an_answer_without_chunks_has_no_connection_to_write_to(changes: dict[str, Any]) -> None:
    made = Relaying(**changes)
    scope = cast("Any", made.cycle.scope)
    assert chunked_connection_of(scope) is None  # not begun
    await made.cycle.send(cast("Any", {"type": "http.response.start", "status": 200, "headers": [], **changes}))
    assert chunked_connection_of(scope) is None


async def test_another_server_has_none_either() -> None:
    assert chunked_connection_of({"type": "http", "method": "GET"}) is None
    assert chunked_connection_of({"type": "http", "method": "GET", "state": {}}) is None
