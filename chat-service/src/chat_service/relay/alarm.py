"""What wakes a reader's task: news, or a time that has come."""

import asyncio


class Alarm:
    """For one task that sleeps; all others may wake it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.has_sleeper = False
        """Whether the task sleeps, and nobody has woken it yet."""

    @property
    def is_set(self) -> bool:
        """Whether the task will be woken in time for what is due."""
        return self._timer is not None

    def set(self, due: float) -> None:
        """Wake the task at `due` at the latest. Ringing too early is cheaper than a new timer per frame."""
        if self._timer is None or self._timer.when() > due:
            self.clear()
            self._timer = self._loop.call_at(due, self.ring)

    def clear(self) -> None:
        """Forget what was due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def ring(self) -> None:
        """Wake the task to look anew at what is due."""
        self.clear()
        self.wake()

    def wake(self) -> None:
        """Wake the task."""
        self.has_sleeper = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def sleep(self) -> None:
        """Sleep until woken."""
        self._waiter = self._loop.create_future()
        self.has_sleeper = True
        await self._waiter
