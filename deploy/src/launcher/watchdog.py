"""Ends the launcher's children when the launcher is gone, where the kernel cannot be asked to.

Run as a script, in a session of its own. Its standard input is a pipe of the launcher's: `+<pid> <signal>` when a
child was started, `-<pid>` when it ended. The end of that input means that the launcher has ended, however it did.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

GRACE_SECONDS = 5.0
POLL_SECONDS = 0.05


def follow(lines: Iterable[str]) -> dict[int, int]:
    """Read the launcher's reports to their end; returns the children that are left, and the signal for each."""
    children: dict[int, int] = {}
    for line in lines:
        pid, _, number = line[1:].strip().partition(" ")
        if line.startswith("+"):
            children[int(pid)] = int(number)
        else:
            children.pop(int(pid), None)
    return children


def end(children: dict[int, int]) -> None:
    """Signal each child's process group, and kill what is left after the grace period."""
    for pid, number in children.items():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
    deadline = time.monotonic() + GRACE_SECONDS
    left = set(children)
    while left and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        left = {pid for pid in left if _is_alive(pid)}
    for pid in left:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    end(follow(sys.stdin))
