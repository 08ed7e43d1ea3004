"""A chat-service in miniature: streams events of one length for ever. `python -m tests.bench.gateway.event_service`.

The query of a request says how many milliseconds lie between two events of its stream: `?40`; none with `?0`.
"""

import asyncio
import os
import random
from typing import cast

import uvloop

from launcher.ports import LOOPBACK

EVENT = (
    b'id: 1-0000042\ndata: {"type":"thread.item.updated","item_id":"msg_0198","update":{"delta":" and the answer"}}\n\n'
)
"""One event of text as the worker writes it."""

_CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_HEALTHY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class _Stream(asyncio.Protocol):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._received = b""
        self._open = True
        self._paused = False
        self._pause = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._received.endswith(b"\r\n\r\n"):
            return
        target, self._received = self._received.split(b" ", 2)[1], b""
        _, _, pause = target.partition(b"?")
        if not pause:
            self._transport.write(_HEALTHY)
            return
        self._transport.write(_HEAD)
        self._pause = int(pause) / 1000
        # Each stream has a phase of its own: no two events come together because they began together.
        self._loop.call_later(random.random() * self._pause, self._send)  # noqa: S311 - no secret

    def connection_lost(self, exc: Exception | None) -> None:
        self._open = False

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._send()

    def _send(self) -> None:
        if not self._open or self._paused:
            return
        self._transport.write(_CHUNK)
        if self._pause:
            self._loop.call_later(self._pause, self._send)
        elif not self._paused:
            self._loop.call_soon(self._send)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Stream(loop), LOOPBACK, port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(os.environ["PORT"])))  # noqa: TID251 - a program of its own
