"""Handing pieces of an answer to a caller, in order, without waking a task for each of them."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from types import coroutine
from typing import Any, cast

from starlette.types import Send


class Outlet:
    """Sends pieces at once while the caller takes them, else one after the other as they are taken.

    ASGI's `send` is a coroutine that waits for nothing but a slow caller. `write` therefore runs it right where it is
    called, in the callback that brought the piece: waking a task for that would cost more than sending does. Only a
    `send` that does wait is handed to a task, and what is written meanwhile stays in line behind it.
    """

    __slots__ = ("_line", "_on_drained", "_on_failure", "_send", "_sending", "is_behind")

    def __init__(self, send: Send, *, on_drained: Callable[[], None], on_failure: Callable[[Exception], None]) -> None:
        self.is_behind = False
        """Whether something waits for the caller."""
        self._send = send
        self._on_drained = on_drained
        self._on_failure = on_failure
        self._line: deque[bytes] | None = None
        self._sending: asyncio.Task[None] | None = None

    def write(self, piece: bytes) -> bool:
        """Send a piece; False if the caller is behind. Then stop until `on_drained` tells that all was taken.

        Never raises: `on_failure` is told.
        """
        if self.is_behind:
            self._line = self._line or deque()
            self._line.append(piece)
            return False
        step = self._start(piece)
        try:
            waited_for = step.send(None)
        except StopIteration:
            return True
        except Exception as error:
            self._on_failure(error)
            return False
        self.is_behind = True
        self._sending = asyncio.create_task(self._catch_up(step, waited_for))
        return False

    async def finish(self) -> None:
        """Wait until the caller has taken all. Raises what `send` raised."""
        if self._sending is not None:
            await self._sending

    async def close(self) -> None:
        """Forget what was not sent."""
        if self._sending is not None:
            self._sending.cancel()
            with suppress(asyncio.CancelledError, Exception):  # `on_failure` was told
                await self._sending

    async def _catch_up(self, step: Coroutine[Any, None, None], waited_for: Any) -> None:
        try:
            await _resumed(step, waited_for)
            while self._line:
                await self._start(self._line.popleft())
        except Exception as error:
            self._on_failure(error)
            raise
        self._sending = None
        self.is_behind = False
        self._on_drained()

    def _start(self, piece: bytes) -> Coroutine[Any, None, None]:
        message = {"type": "http.response.body", "body": piece, "more_body": True}
        return cast("Coroutine[Any, None, None]", self._send(message))  # ASGI: `send` is a coroutine callable


@coroutine
def _resumed(step: Coroutine[Any, None, None], waited_for: Any) -> Generator[Any, None, None]:
    """Go on with a coroutine that was run by hand up to its first wait, and let the awaiting task wait in its place."""
    try:
        yield waited_for
        yield from step
    finally:
        step.close()
