"""Work that can be stopped from outside, and why."""

import asyncio
from collections.abc import Coroutine
from enum import Enum, auto
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Stop(Enum):
    """Why a run's execution was stopped from outside."""

    LOST = auto()
    """The lease is gone, or a newer attempt writes: say nothing more."""

    CANCELLED = auto()
    """The user wants it to end."""

    RELEASED = auto()
    """This worker shuts down: another one may go on."""

    BROKEN = auto()
    """A tool call could not be recorded; the model must not hear of it as if the tool had failed."""


class StoppedError(Exception):
    """The execution must not go on; `stop` says why."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop
        super().__init__(stop.name)


class Signal:
    """Asks for a stop, once: what is asked for later changes nothing."""

    def __init__(self) -> None:
        self.asked: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()

    def ask(self, stop: Stop) -> None:
        """Ask for the stop."""
        if not self.asked.done():
            self.asked.set_result(stop)


async def unless_stopped(work: Coroutine[Any, Any, Answer], *signals: Signal) -> Answer:
    """Await the work, or cancel it, await its end, and raise StoppedError as soon as a signal asks for that."""
    task = asyncio.create_task(work)
    stops = [signal.asked for signal in signals]
    try:
        await asyncio.wait({task, *stops}, return_when=asyncio.FIRST_COMPLETED)
        stop = next((stop.result() for stop in stops if stop.done()), None)
        if stop is not None and not task.done():
            raise StoppedError(stop)
        return await task
    finally:
        await cancel(task)


async def cancel(task: "asyncio.Task[Any]") -> None:
    """Cancel a task and wait for its end; what it raises then is of no interest any more."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
