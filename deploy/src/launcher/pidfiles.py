"""`<DATA_DIR>/pids/<name>.pid`: where tests and operators find a process, and the launcher what an earlier one left.

Beside each `.pid` a `.started` file says when that process began, so that a pid that the system has since given to
somebody else is never mistaken for ours.
"""

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from launcher.processes import started_at

LAUNCHER = "launcher"
POLL_SECONDS = 0.05
_POLITE = {"postgres": signal.SIGINT}


class PidFiles:
    """The pid files of one data folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, pid: int) -> None:
        """Record a process that has just been started."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{name}.started").write_text(started_at(pid) or "")
        fresh = self._folder / f"{name}.pid.new"
        fresh.write_text(f"{pid}\n")
        fresh.replace(self._folder / f"{name}.pid")

    def remove(self, name: str) -> None:
        """Forget a process that has ended."""
        for suffix in (".pid", ".started"):
            (self._folder / f"{name}{suffix}").unlink(missing_ok=True)

    def living(self, name: str) -> int | None:
        """Return the pid of the recorded process if that very process still runs."""
        try:
            pid = int((self._folder / f"{name}.pid").read_text())
            recorded = (self._folder / f"{name}.started").read_text()
        except (OSError, ValueError):
            return None
        return pid if recorded and started_at(pid) == recorded else None

    async def sweep(self, grace_seconds: float) -> list[str]:
        """End whatever an earlier launcher left behind; returns the names of what was still alive."""
        names = sorted(path.stem for path in self._folder.glob("*.pid") if path.stem != LAUNCHER)
        left = [name for name in names if self.living(name) is not None]
        for name in left:
            self._signal(name, _POLITE.get(name, signal.SIGTERM))
        deadline = time.monotonic() + grace_seconds
        while any(self.living(name) for name in left):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(POLL_SECONDS)
        for name in left:
            self._signal(name, signal.SIGKILL)
        for name in names:
            self.remove(name)
        return left

    def _signal(self, name: str, number: signal.Signals) -> None:
        pid = self.living(name)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(pid, number)
