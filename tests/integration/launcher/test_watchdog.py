"""What stands in for the kernel's parent-death signal where there is none."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from launcher.child_watch import NoChildWatch, WatchdogPipe, child_watch
from launcher.pidfiles import PidFiles
from launcher.processes import started_at
from tests.support.servers import eventually

SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")

LAUNCHER_THAT_DIES = """
import os, signal, subprocess, sys
from launcher.child_watch import WatchdogPipe
with WatchdogPipe() as watch:
    for _ in range(3):
        command = (sys.executable, "-c", "import time; time.sleep(600)")
        child = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
        watch.started(child.pid, signal.SIGTERM)
        print(child.pid, flush=True)
    watch.ended(child.pid)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_is_used_where_the_kernel_does_not_do_it() -> None:
    assert isinstance(child_watch("linux"), NoChildWatch)
    assert isinstance(child_watch("darwin"), WatchdogPipe)


async def test_it_ends_the_children_of_a_launcher_that_was_killed() -> None:
    command = (sys.executable, "-c", LAUNCHER_THAT_DIES)
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603, ASYNC221 - a short script
    assert answer.returncode == -signal.SIGKILL
    *reported, ended = (int(line) for line in answer.stdout.split())

    await eventually(lambda: all(started_at(pid) is None for pid in reported), what="the reported children are gone")
    assert started_at(ended) is not None, "a child that had ended must not be signalled: its pid may be another's"
    os.kill(ended, signal.SIGKILL)


def test_the_sweep_ends_what_was_left_and_spares_a_reused_pid(tmp_path: Path) -> None:
    pids = PidFiles(tmp_path)
    with (
        subprocess.Popen(SLEEPER, start_new_session=True) as left,  # noqa: S603 - this interpreter
        subprocess.Popen(SLEEPER, start_new_session=True) as stranger,  # noqa: S603 - this interpreter
    ):
        pids.write("gateway", left.pid)
        pids.write("frontend", stranger.pid)
        (tmp_path / "frontend.started").write_text("another process, at another time")
        (tmp_path / "redis.pid").write_text("nonsense")

        assert asyncio.run(pids.sweep(grace_seconds=10)) == ["gateway"]

        assert left.wait(timeout=10) == -signal.SIGTERM
        assert stranger.poll() is None
        assert not list(tmp_path.iterdir())
        stranger.kill()
