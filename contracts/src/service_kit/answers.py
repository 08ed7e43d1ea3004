"""The answer of another service: read whole, or piece by piece, and given up when the service stays silent."""

import asyncio
import math
from collections.abc import AsyncGenerator
from typing import NamedTuple

from service_kit.http_exchange import BrokenAnswerError, Exchange


class LateAnswerError(Exception):
    """The service was silent for too long; it may have acted, or may yet do so."""


class Silence:
    """Fails an exchange with LateAnswerError once its service has been silent for so many seconds."""

    __slots__ = ("_exchange", "_loop", "_seconds", "_since", "_timer")

    def __init__(self, exchange: Exchange, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._exchange = exchange
        self._loop = loop
        self._seconds = seconds
        self._since = loop.time()
        self._timer = loop.call_later(seconds, self._look)

    def heard(self) -> None:
        """Count from now on."""
        self._since = self._loop.time()

    def hold(self) -> None:
        """Do not count until `heard`: it is not the service that is waited for."""
        self._since = math.inf

    def end(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _look(self) -> None:
        left = self._since + self._seconds - self._loop.time()
        if left <= 0:
            self._exchange.fail(LateAnswerError())
        else:
            self._timer = self._loop.call_later(min(left, self._seconds), self._look)


class Answer(NamedTuple):
    """An answer as a whole."""

    status: int
    headers: list[tuple[bytes, bytes]]
    content: bytes

    def header(self, name: bytes) -> bytes | None:
        """Return the value of a header (its name in lower case), the first one if there are several."""
        return next((value for raw, value in self.headers if raw.lower() == name), None)


class OpenAnswer:
    """An answer that has begun. Its body is read once, by `read` or by `pieces`. Whoever opened it closes it.

    Both raise BrokenAnswerError and LateAnswerError.
    """

    __slots__ = ("_exchange", "_is_closed", "_places", "_silence")

    def __init__(self, exchange: Exchange, silence: Silence, places: asyncio.Semaphore) -> None:
        self._exchange = exchange
        self._silence = silence
        self._places = places
        self._is_closed = False
        silence.hold()

    @property
    def status(self) -> int:
        """The status of the answer."""
        return self._exchange.status

    async def read(self) -> Answer:
        """Return the answer with all of its body."""
        exchange = self._exchange
        if exchange.is_whole:
            return Answer(exchange.status, exchange.raw_headers, exchange.take())
        pieces: list[bytes] = []

        def keep(piece: bytes) -> bool:
            self._silence.heard()
            pieces.append(piece)
            return True

        self._silence.heard()
        await exchange.deliver(keep)
        return Answer(exchange.status, exchange.raw_headers, b"".join(pieces))

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Yield the body as it comes. While a piece is looked at, no more than the next read is kept."""
        self._require_open()
        kept: list[bytes] = []
        news = asyncio.Event()

        def keep(piece: bytes) -> bool:
            kept.append(piece)
            news.set()
            return False

        def note_end(delivery: asyncio.Task[None]) -> None:
            if not delivery.cancelled():
                delivery.exception()  # seen: the reader may have gone
            news.set()

        self._silence.heard()
        delivery = asyncio.create_task(self._exchange.deliver(keep))
        delivery.add_done_callback(note_end)
        while kept or not delivery.done():
            if kept:
                piece = b"".join(kept)
                kept.clear()
                self._silence.hold()
                yield piece
                self._require_open()
                self._silence.heard()
                self._exchange.resume()
            else:
                news.clear()
                await news.wait()
        delivery.result()

    def close(self) -> None:
        """Let the connection be used again if the answer is complete, else end it."""
        self._is_closed = True
        self._silence.end()
        self._exchange.fail(BrokenAnswerError("closed"))  # for a reader that goes on
        self._exchange.close()
        self._places.release()

    def _require_open(self) -> None:
        """Raise BrokenAnswerError if closed: the connection may be another exchange's by now."""
        if self._is_closed:
            raise BrokenAnswerError("closed")
