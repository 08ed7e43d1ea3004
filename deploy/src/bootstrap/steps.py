"""Long steps: one at a time, run quietly, with a sign of life, and with the last lines of output when they fail."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bootstrap.errors import BootstrapError

TERMINAL_TICK_SECONDS = 1.0
PLAIN_TICK_SECONDS = 10.0
LINES_SHOWN = 25

LOGS = Path(".cache") / "bootstrap"
"""Where the output of steps goes, within the project."""


def say(text: str) -> None:
    """Write a line for the person who waits; standard output is left to answers."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@contextmanager
def alone_in(folder: Path) -> Generator[None]:
    """Wait until no other bootstrap works in the folder, and keep others out until the end, or until `exec`."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # of file systems without locks
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("  Waiting for another make that sets things up here …")
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def run_step(
    what: str, command: Sequence[str], *, log: Path, cwd: Path, env: Mapping[str, str] | None = None, advice: str = ""
) -> None:
    """Run a command, its output going to the log. Raises BootstrapError when it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - programs of our own choice
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(machine_environment() if env is None else env),
        )
        try:
            code = _wait(process, what, began)
        except BaseException:
            process.kill()
            process.wait()
            raise
    if code != 0:
        for line in log.read_text(errors="replace").splitlines()[-LINES_SHOWN:]:
            say(f"    {line}")
        hint = f" {advice}" if advice else ""
        raise BootstrapError(f"{what} failed (exit code {code}); all of it is in {log}.{hint}")
    say(f"  {what}: {time.monotonic() - began:.1f} s")


def machine_environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without what was meant for the bootstrap alone."""
    inherited = dict(os.environ)  # noqa: TID251 - installers use the person's own settings (mirrors, proxies)
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        inherited.pop(name, None)
    return inherited | extra


def _wait(process: "subprocess.Popen[bytes]", what: str, began: float) -> int:
    terminal = sys.stderr.isatty()
    tick = TERMINAL_TICK_SECONDS if terminal else PLAIN_TICK_SECONDS
    while True:
        try:
            return process.wait(timeout=tick)
        except subprocess.TimeoutExpired:
            seconds = time.monotonic() - began
            if terminal:
                sys.stderr.write(f"  {what} … {seconds:.0f} s\r")
                sys.stderr.flush()
            else:
                say(f"  {what} … {seconds:.0f} s")
