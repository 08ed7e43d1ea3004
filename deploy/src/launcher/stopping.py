"""`make down`: stops the launcher of a data folder from outside."""

import os
import signal
import time
from contextlib import suppress

from launcher.console import Console
from launcher.errors import LauncherError
from launcher.pidfiles import LAUNCHER, PidFiles
from launcher.processes import started_at
from launcher.settings import LauncherSettings

POLL_SECONDS = 0.05
TIERS = 5
"""Programs are stopped tier by tier, each within the grace period."""


def stop_running(settings: LauncherSettings, console: Console) -> None:
    """Ask the launcher to stop and wait until it has. Raises LauncherError when it does not in time."""
    pids = PidFiles(settings.data_dir / "pids")
    pid = pids.living(LAUNCHER)
    if pid is None:
        console.say(f"Threadkeep does not run on {settings.data_dir}.")
        return
    console.say(f"Stopping Threadkeep (pid {pid}) …")
    began = started_at(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + TIERS * settings.stop_grace_seconds
    while began is not None and started_at(pid) == began:
        if time.monotonic() > deadline:
            raise LauncherError(f"The launcher (pid {pid}) did not stop in time: end it with `kill -9 {pid}`.")
        time.sleep(POLL_SECONDS)
    console.say("Stopped.")
