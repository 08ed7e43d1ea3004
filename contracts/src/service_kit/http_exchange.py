"""One request to a service and its answer (HTTP/1.1, RFC 9112): each piece is passed on as it is parsed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

import httptools

from service_kit.http_chunks import MOST_BYTES, SIZE_LINES, chunk_of

WITHOUT_BODY: Final = frozenset({204, 304})
"""Statuses of answers that have no body, whatever their headers say (RFC 9112, section 6.3)."""

Sink = Callable[[bytes], bool]
"""Takes a piece of a body; False asks for no more until `Exchange.resume`."""

ChunkSink = Callable[[bytes], bool]
"""Takes a whole chunk of a body as `chunk_of` writes it; False if it cannot now: the sink gets its body then."""


class UnreachableError(Exception):
    """No connection could be made."""


class BrokenAnswerError(Exception):
    """The answer is no HTTP, or ended before it was complete. Where it ends, it has to say itself."""


class Line(Protocol):
    """The connection that an exchange has for itself."""

    host: bytes

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    async def drain(self) -> None:
        """Wait while the service takes no more."""
        ...

    def pause_reading(self) -> None:
        """Read no more for now."""
        ...

    def resume_reading(self) -> None:
        """Read on."""
        ...

    def release(self, *, reusable: bool) -> None:
        """Wait for another exchange, or end."""
        ...


class Exchange:
    """A request and its answer. The parser calls the `on_` methods.

    `is_first` tells whether the connection is new: one that was idle may have been closed by the service unnoticed.
    """

    __slots__ = (
        "_begun",
        "_chunk_sink",
        "_ended",
        "_is_between_chunks",
        "_is_spoilt",
        "_line",
        "_parser",
        "_pass_chunk",
        "_pieces",
        "_request_sent",
        "_reusable",
        "_sink",
        "is_first",
        "raw_headers",
        "status",
    )

    def __init__(self, line: Line, loop: asyncio.AbstractEventLoop, *, is_first: bool) -> None:
        self.is_first = is_first
        self.status = 0
        self.raw_headers: list[tuple[bytes, bytes]] = []
        self._line = line
        self._parser = httptools.HttpResponseParser(self)
        self._begun: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._sink: Sink | None = None
        self._chunk_sink: ChunkSink | None = None
        self._pass_chunk: ChunkSink | None = None
        """The sink of chunks, as long as the next byte is the first of one."""
        self._is_between_chunks = False
        self._pieces: list[bytes] = []
        self._request_sent = False
        self._reusable = False
        self._is_spoilt = False

    async def send(
        self, method: str, path_and_query: bytes, headers: bytes, body: bytes | AsyncIterator[bytes]
    ) -> None:
        """Send the request and wait for the head of the answer, which may come before the request is complete.

        `headers` are lines, each with its end. Raises BrokenAnswerError, and what `fail` was given or `body` raises.
        """
        head = b"%b %b HTTP/1.1\r\nHost: %b\r\n%b" % (method.encode("ascii"), path_and_query, self._line.host, headers)
        if isinstance(body, bytes):
            # RFC 9110, section 8.6: no length where none is expected.
            length = b"Content-Length: %d\r\n" % len(body) if body or method != "GET" else b""
            self._line.write(b"%b%b\r\n%b" % (head, length, body))
            self._request_sent = True
            await self._begun
            return
        sending = asyncio.create_task(self._send_pieces(head + b"Transfer-Encoding: chunked\r\n\r\n", body))
        sending.add_done_callback(self._note_sent)
        try:
            await self._begun
        finally:
            sending.cancel()
            await asyncio.wait([sending])

    @property
    def has_begun(self) -> bool:
        """Whether anything of an answer's head has come."""
        return bool(self.status or self.raw_headers)

    @property
    def is_whole(self) -> bool:
        """Whether all of the answer has come already, and nobody has taken its body yet."""
        return self._sink is None and self._ended.done() and self._ended.exception() is None

    def take(self) -> bytes:
        """Return what has come of the body and was not passed on."""
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def deliver(self, sink: Sink, chunk_sink: ChunkSink | None = None) -> None:
        """Pass each piece of the body to the sink as it comes, until the body is complete.

        A chunk that comes by itself is offered to `chunk_sink` first, unparsed. Raises BrokenAnswerError, and what
        `fail` was given.
        """
        self._sink, self._chunk_sink = sink, chunk_sink
        if not self._pieces or sink(self.take()):
            self._expect_chunk()
            self.resume()
        await self._ended

    def resume(self) -> None:
        """Go on after the sink has asked for no more."""
        self._line.resume_reading()

    def fail(self, error: Exception) -> None:
        """End the exchange with an error."""
        self._pass_chunk = None
        for future in (self._begun, self._ended):
            if not future.done():
                future.set_exception(error)
                future.exception()  # seen: nobody may be waiting for it

    def close(self) -> None:
        """Give the connection back if the exchange is complete, else end it."""
        self._line.release(reusable=self._reusable and self._request_sent and not self._is_spoilt)

    def feed(self, data: bytes) -> None:
        """Parse what came over the connection, and pass on what it holds of the body as one piece.

        Until there is a sink, no more than what was read at once is kept. A chunk that was taken as it came leaves the
        parser where it was: between two chunks.
        """
        pass_chunk, length = self._pass_chunk, len(data)
        if (
            pass_chunk is not None
            and length < MOST_BYTES
            and data.startswith(SIZE_LINES[length])
            and data.endswith(b"\r\n")
            and pass_chunk(data)
        ):
            return
        self._pass_chunk = None
        error = None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as failure:
            error = BrokenAnswerError(type(failure).__name__)
        if self._pieces:
            if self._sink is not None:
                if not self._sink(self.take()):
                    self._line.pause_reading()
            elif not self._ended.done():
                self._line.pause_reading()
        if error is not None:
            self.fail(error)
            return
        # A size that has come in part, or an end of line, is not told by the parser.
        self._is_between_chunks = self._is_between_chunks and data.endswith(b"\r\n")
        self._expect_chunk()

    def on_message_begin(self) -> None:
        """Note what follows a whole answer: it was not asked for. A connection that brings it is used no more."""
        if self._begun.done():
            self._is_spoilt = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers are nothing to pass on."""
        if not self._begun.done():
            self.raw_headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Let the request's sender know; heads before the last one (status 1xx) are nothing to pass on.

        A body that an answer announces and cannot have might yet come, and be taken for the next answer.
        """
        if self._begun.done():
            return
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self.raw_headers.clear()
        elif self.status > 599:
            self.fail(BrokenAnswerError("no status of HTTP"))
        else:
            self._is_spoilt = self.status in WITHOUT_BODY and _announces_body(self.raw_headers)
            self._begun.set_result(None)

    def on_body(self, piece: bytes) -> None:
        """Keep a piece until all that came with it is parsed."""
        if not self._ended.done():
            self._pieces.append(piece)

    def on_chunk_header(self) -> None:
        """Note that a chunk has begun."""
        self._is_between_chunks = False

    def on_chunk_complete(self) -> None:
        """Note that it has ended."""
        self._is_between_chunks = True

    def on_message_complete(self) -> None:
        """Note the end of the body."""
        if self.status >= 200 and not self._ended.done():
            self._reusable = self._parser.should_keep_alive()
            self._ended.set_result(None)

    def _expect_chunk(self) -> None:
        if self._is_between_chunks and not self._ended.done():
            self._pass_chunk = self._chunk_sink

    async def _send_pieces(self, head: bytes, body: AsyncIterator[bytes]) -> None:
        self._line.write(head)
        async for piece in body:
            self._line.write(chunk_of(piece))
            await self._line.drain()
        self._line.write(b"0\r\n\r\n")
        self._request_sent = True

    def _note_sent(self, sending: asyncio.Task[None]) -> None:
        if sending.cancelled() or not isinstance(error := sending.exception(), Exception):
            return
        if not self._begun.done():  # afterwards, nobody waits for the rest of the request
            self.fail(error)


def _announces_body(headers: list[tuple[bytes, bytes]]) -> bool:
    framing = {name.lower(): value for name, value in headers}
    return b"transfer-encoding" in framing or framing.get(b"content-length", b"0") != b"0"
