"""Passing on the bytes of an answer as they come."""

import asyncio

from starlette.types import Send

from contracts.frames import KEEP_ALIVE
from gateway.forwarding.outlet import Outlet
from service_kit.http_exchange import Exchange

_FRAME_ENDS = (b"\n\n", b"\n\r\n", b"\r\r")
_LONGEST_FRAME_END = 3
_CHUNK_FRAME_ENDS = tuple(end + b"\r\n" for end in _FRAME_ENDS)
_BETWEEN_FRAMES = b"\n\n"


class BodyRelay:
    """Passes an exchange's body on unparsed; an event stream gets a comment whenever it has been silent for too long.

    A whole chunk is written to `connection` as it came, if there is one (`gateway.edge.answers`) and the caller has
    taken all before. Everything else goes through `send`, which knows what to do with callers that are slow or gone.

    A comment may only stand between two frames. The relay keeps no more than the last bytes it has sent, to see
    whether a frame has ended there. While the caller is behind, nothing is read: silence is counted from then on.
    """

    __slots__ = (
        "_comments",
        "_connection",
        "_exchange",
        "_interval",
        "_loop",
        "_now",
        "_outlet",
        "_received",
        "_send",
        "_sent",
        "_silence",
        "_tail",
        "_timer",
    )

    def __init__(
        self,
        exchange: Exchange,
        send: Send,
        connection: asyncio.Transport | None = None,
        *,
        silence_seconds: float,
        comment_seconds: float | None,
    ) -> None:
        self._exchange = exchange
        self._send = send
        self._connection = connection
        self._silence = silence_seconds
        self._interval = comment_seconds or silence_seconds
        self._comments = comment_seconds is not None
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time
        self._outlet = Outlet(send, on_drained=self._go_on, on_failure=exchange.fail)
        self._tail = _BETWEEN_FRAMES
        self._received = self._sent = self._now()

    async def run(self) -> None:
        """Relay until the body ends. An end of its own accord is passed on; a broken one is raised, as is silence."""
        self._timer = self._loop.call_at(self._next_look(), self._look)
        try:
            await self._exchange.deliver(self._pass_on, self._pass_chunk)
            await self._outlet.finish()
        finally:
            self._timer.cancel()
            await self._outlet.close()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def _pass_on(self, piece: bytes) -> bool:
        self._received = self._sent = self._now()
        self._tail = (piece if len(piece) >= _LONGEST_FRAME_END else self._tail + piece)[-_LONGEST_FRAME_END:]
        return self._outlet.write(piece)

    def _pass_chunk(self, chunk: bytes) -> bool:
        connection = self._connection
        if (
            connection is None
            or self._outlet.is_behind
            or connection.is_closing()
            or connection.get_write_buffer_size()
        ):
            return False
        connection.write(chunk)
        self._received = self._sent = self._loop.time()
        # Its body is longer than any end of a frame. Most events end there: nothing has to be cut out then.
        self._tail = _BETWEEN_FRAMES if chunk.endswith(_CHUNK_FRAME_ENDS) else chunk[-2 - _LONGEST_FRAME_END : -2]
        return True

    def _go_on(self) -> None:
        self._received = self._sent = self._now()
        self._exchange.resume()

    def _next_look(self) -> float:
        return min(self._received + self._silence, self._sent + self._interval)

    def _look(self) -> None:
        """Comment on silence, or end it."""
        now = self._now()
        if self._outlet.is_behind:
            self._received = self._sent = now
        elif now >= self._received + self._silence:
            self._exchange.fail(TimeoutError())
            return
        elif now >= self._sent + self._interval:
            if self._comments and self._tail.endswith(_FRAME_ENDS):
                self._outlet.write(KEEP_ALIVE)
            self._sent = now
        self._timer = self._loop.call_at(self._next_look(), self._look)
