"""Where a reader's bytes go: the body of a response that is being streamed."""

from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import coroutine
from typing import Any, Protocol, cast

from starlette.types import Message, Send


class Outlet(Protocol):
    """Takes chunks in order. After an `offer` that was not done, nothing is offered before `drain` has returned."""

    def offer(self, chunk: bytes) -> bool:
        """Write; tell whether that is done. If not, it waits for the client, or has failed: `drain` knows."""
        ...

    async def drain(self) -> None:
        """Wait until the client has taken what was offered. Raises what kept it from being written."""
        ...


class ResponseBody:
    """An outlet over ASGI. A client that is not under flow control is written to without waking a task.

    `send` of a server returns without waiting unless the client is too slow. So it is run up to where it would wait, by
    whoever offers; what remains of it then is left to `drain`.
    """

    def __init__(self, send: Send) -> None:
        # A coroutine function, although ASGI's type says less.
        self._send = cast("Callable[[Message], Coroutine[Any, Any, None]]", send)
        self._rest: Awaitable[None] | None = None

    def offer(self, chunk: bytes) -> bool:
        """Write; tell whether that is done."""
        sending = self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        try:
            awaited = sending.send(None)
        except StopIteration:
            return True
        except Exception as error:
            self._rest = _failed(error)
        else:
            self._rest = _resumed(sending, awaited)
        return False

    async def drain(self) -> None:
        """Wait until the client has taken what was offered."""
        rest, self._rest = self._rest, None
        if rest is not None:
            await rest

    async def write(self, chunk: bytes) -> None:
        """Write behind everything that was offered, and wait for the client if it is slow."""
        await self.drain()
        if not self.offer(chunk):
            await self.drain()


@coroutine
def _resumed(sending: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that waits for `awaited`, in the task that awaits this."""
    yield awaited
    yield from sending  # pyright: ignore[reportGeneralTypeIssues] - `types.coroutine` allows it


async def _failed(error: Exception) -> None:
    raise error
