"""Tells the watchdog about the launcher's children, on systems that have no parent-death signal."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_WATCHDOG = Path(__file__).with_name("watchdog.py")


class NoChildWatch:
    """For Linux, where each child asks the kernel (`launcher.guard`)."""

    def started(self, pid: int, number: signal.Signals) -> None:
        """Nothing to do."""

    def ended(self, pid: int) -> None:
        """Nothing to do."""

    def __enter__(self) -> "NoChildWatch":
        return self

    def __exit__(self, *_: object) -> None:
        return


class WatchdogPipe:
    """Reports to a watchdog process, which acts when this end of the pipe is closed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "WatchdogPipe":
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            (sys.executable, "-I", "-S", str(_WATCHDOG)), stdin=subprocess.PIPE, start_new_session=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            with suppress(BrokenPipeError):
                self._process.communicate()
            self._process = None

    def started(self, pid: int, number: signal.Signals) -> None:
        """A child was started."""
        self._report(f"+{pid} {int(number)}\n")

    def ended(self, pid: int) -> None:
        """A child has ended."""
        self._report(f"-{pid}\n")

    def _report(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            # A watchdog that somebody killed is no reason to stop the product.
            with suppress(BrokenPipeError):
                os.write(self._process.stdin.fileno(), line.encode())


def child_watch(platform: str = sys.platform) -> NoChildWatch | WatchdogPipe:
    """Return the watch for this system; a context manager."""
    return NoChildWatch() if platform.startswith("linux") else WatchdogPipe()
