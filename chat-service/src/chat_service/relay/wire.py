"""What a pub/sub connection hears: its bytes are parsed as they arrive, all messages of one read at once."""

import asyncio
from collections.abc import Callable
from typing import cast

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

Hear = Callable[[bytes, bytes], None]
Confirm = Callable[[bytes], None]


class Wire(asyncio.Protocol):
    """Takes a connection over from asyncio's streams, which would wake a task for each read.

    `hear` gets channel and message, `confirm` the name of each channel that the server has subscribed, and `flush` is
    called when everything that came at once has been handed on. None of them may block or raise.
    """

    def __init__(self, hear: Hear, confirm: Confirm, flush: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[Exception] = loop.create_future()
        """What ended the connection, once it has ended."""
        self.heard_at = loop.time()
        """When the server last sent anything, by the loop's clock."""
        self._now = loop.time
        self._hear = hear
        self._confirm = confirm
        self._flush = flush
        self._parser = hiredis.Reader()

    def data_received(self, data: bytes) -> None:
        """Hand on everything that is complete."""
        self.heard_at = self._now()
        hear, gets = self._hear, self._parser.gets
        try:
            self._parser.feed(data)
            while (reply := gets()) is not False:
                if isinstance(reply, list):
                    push = cast("list[bytes]", reply)
                    if push[0] == b"message":
                        hear(push[1], push[2])
                    elif push[0] == b"subscribe":
                        self._confirm(push[1])
                elif isinstance(reply, hiredis.ReplyError):
                    self._lose(ResponseError(str(reply)))
        except hiredis.ProtocolError as error:
            self._lose(RedisError(str(error)))
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take notice of the end."""
        self._lose(exc or RedisConnectionError("closed by the server"))

    def _lose(self, error: Exception) -> None:
        if not self.lost.done():
            self.lost.set_result(error)
