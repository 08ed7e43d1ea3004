"""One program under supervision: started, watched, restarted with back-off, stopped."""

import asyncio
import signal
import time
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from launcher.children import Command, spawn, stop
from launcher.console import Console
from launcher.errors import NotReadyError
from launcher.output import copy_output
from launcher.pidfiles import PidFiles
from launcher.readiness import Probe

POLL_SECONDS = 0.05
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
STEADY_SECONDS = 30.0
"""A program that ran this long before it died is restarted as if for the first time."""


@dataclass(frozen=True)
class Program:
    """What to run, and how to know that it is ready."""

    name: str
    command: Command
    is_ready: Probe


class ChildWatch(Protocol):
    """Is told of every child, to end it should the launcher die."""

    def started(self, pid: int, number: signal.Signals) -> None:
        """A child was started; `number` is how it likes to be ended."""
        ...

    def ended(self, pid: int) -> None:
        """A child has ended and was waited for."""
        ...


@dataclass(frozen=True)
class Surroundings:
    """What all supervised programs share."""

    console: Console
    pids: PidFiles
    logs: Path
    watch: ChildWatch
    start_timeout_seconds: float
    stop_grace_seconds: float


class SupervisedProgram:
    """Keeps one program running from `start` to `stop`."""

    def __init__(self, program: Program, around: Surroundings) -> None:
        self.program = program
        self._around = around
        self._process: Process | None = None
        self._output: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start and wait until ready. Raises NotReadyError when it ends before, or takes too long."""
        name = self.program.name
        process = await self._spawn()
        deadline = time.monotonic() + self._around.start_timeout_seconds
        while not await self.program.is_ready():
            if process.returncode is not None:
                raise NotReadyError(f"{name} {describe_end(process.returncode)} before it was ready: see its lines.")
            if time.monotonic() > deadline:
                seconds = self._around.start_timeout_seconds
                raise NotReadyError(
                    f"{name} was not ready within {seconds:g} s: see {self._log} (START_TIMEOUT_SECONDS is the bound)."
                )
            await asyncio.sleep(POLL_SECONDS)
        self._keeper = asyncio.create_task(self._keep_running(process), name=f"keep {name}")

    async def stop(self) -> None:
        """End the program and all it started."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        if self._process is not None:
            await stop(self._process, self.program.command.stop_signal, self._around.stop_grace_seconds)
            await self._tidy(self._process)
            self._process = None

    async def _spawn(self) -> Process:
        process = await spawn(self.program.command, output=PIPE)
        self._process = process
        self._around.watch.started(process.pid, self.program.command.orphan_signal)
        self._around.pids.write(self.program.name, process.pid)
        if process.stdout is not None:
            copying = copy_output(self.program.name, process.stdout, self._around.console, self._log)
            self._output = asyncio.create_task(copying, name=f"output of {self.program.name}")
        return process

    async def _keep_running(self, process: Process) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            code = await process.wait()
            # What it may have left in its process group would hold its port.
            await stop(process, self.program.command.stop_signal, self._around.stop_grace_seconds)
            await self._tidy(process)
            failures = 0 if time.monotonic() - began > STEADY_SECONDS else failures
            pause = backoff_seconds(failures)
            failures += 1
            end = describe_end(code)
            self._around.console.line(self.program.name, f"{end}: restarting in {pause:g} s (restart {failures})")
            await asyncio.sleep(pause)
            process = await self._spawn()

    async def _tidy(self, process: Process) -> None:
        self._around.pids.remove(self.program.name)
        self._around.watch.ended(process.pid)
        if self._output is not None:
            await self._output
            self._output = None

    @property
    def _log(self) -> Path:
        return self._around.logs / f"{self.program.name}.log"


def backoff_seconds(failures: int) -> float:
    """Return the pause before the restart that follows this many quick failures."""
    return min(FIRST_BACKOFF_SECONDS * 2 ** min(failures, 16), LONGEST_BACKOFF_SECONDS)


def describe_end(code: int) -> str:
    """Say in words how a process ended."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
