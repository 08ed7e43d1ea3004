"""Passing on the bytes of an answer as they come."""

import asyncio

import aiohttp
from starlette.types import Send

from contracts.frames import KEEP_ALIVE

_FRAME_ENDS = (b"\n\n", b"\n\r\n", b"\r\r")
_LONGEST_FRAME_END = 3


async def relay_bytes(content: aiohttp.StreamReader, send: Send) -> None:
    """Send every piece of a body as soon as it is there."""
    more = True
    while more:
        chunk = await content.readany()
        more = not content.at_eof()
        await send({"type": "http.response.body", "body": chunk, "more_body": more})


class EventRelay:
    """Passes an event stream on unparsed, with a comment whenever it has been silent for too long.

    A comment may only stand between two frames. The relay keeps no more than the last bytes it has sent, to see
    whether a frame has ended there.
    """

    def __init__(self, send: Send, keepalive_seconds: float) -> None:
        self._send = send
        self._interval = keepalive_seconds
        self._clock = asyncio.get_running_loop().time
        self._tail = b"\n\n"
        self._last_sent = self._clock()
        # Two tasks send; without the lock a comment that waits for a slow caller could slip into a frame.
        self._sending = asyncio.Lock()

    async def run(self, content: aiohttp.StreamReader) -> None:
        """Relay until the stream ends. An end of its own accord is passed on, a broken one is raised."""
        keeper = asyncio.create_task(self._keep_alive())
        try:
            while chunk := await content.readany():
                async with self._sending:
                    await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
                    self._tail = (self._tail + chunk if len(chunk) < _LONGEST_FRAME_END else chunk)[
                        -_LONGEST_FRAME_END:
                    ]
                self._last_sent = self._clock()
        finally:
            keeper.cancel()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(max(self._last_sent + self._interval - self._clock(), 0))
            async with self._sending:
                if self._clock() - self._last_sent < self._interval:
                    continue
                if self._tail.endswith(_FRAME_ENDS):
                    await self._send({"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True})
                self._last_sent = self._clock()
