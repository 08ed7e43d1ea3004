"""Child processes that never outlive the launcher: started through the guard, each in a process group of its own."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

Identity = Literal["self", "namespace", "nobody"]
"""Whom a child runs as: the launcher's own account, or one of two ways to leave root."""

LINE_LIMIT_BYTES = 1 << 20
"""Longest line of output that is read in one piece."""

_GUARD = Path(__file__).with_name("guard.py")


@dataclass(frozen=True)
class Command:
    """How to start a program, and how it likes to be ended."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=lambda: inherited_environment())
    cwd: Path | None = None
    identity: Identity = "self"
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    """Sent by the kernel when the launcher dies without having stopped it."""


def inherited_environment(source: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the part of the environment that is about the machine, not about the product: never a secret."""
    names = {"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "TERM", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    environ = os.environ if source is None else source  # noqa: TID251 - the machine's part, for children
    return {name: value for name, value in environ.items() if name in names or name.startswith("LC_")}


async def spawn(command: Command, *, output: int | IO[bytes]) -> Process:
    """Start the program in a new session; standard output and error go to `output` (a file or PIPE).

    Must be called from the main thread: on Linux a child dies with the thread that started it.
    """
    guard = (str(os.getpid()), str(int(command.orphan_signal)), command.identity)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(_GUARD), *guard, *command.argv),
        env=dict(command.env),
        cwd=command.cwd,
        stdin=DEVNULL,
        stdout=output,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=LINE_LIMIT_BYTES,
    )


async def stop(process: Process, stop_signal: signal.Signals, grace_seconds: float) -> None:
    """End a child and whatever it left in its process group; SIGKILL after the grace period."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(stop_signal)
        try:
            async with asyncio.timeout(grace_seconds):
                await process.wait()
        except TimeoutError:
            _signal_group(process.pid, signal.SIGKILL)
            await process.wait()
    _signal_group(process.pid, signal.SIGKILL)


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
