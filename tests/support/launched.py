"""The launcher, run as a program on stand-in services in a folder of its own."""

import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from launcher.children import Command, inherited_environment, spawn, stop
from launcher.pidfiles import PidFiles
from launcher.processes import started_at
from tests.support.ports import free_port
from tests.support.servers import eventually

SERVICES = {
    "gateway": "GATEWAY_PORT",
    "chat_service": "CHAT_PORT",
    "history_service": "HISTORY_PORT",
    "agent_worker": "WORKER_PORT",
    "task_tools": "TOOLS_PORT",
}
NAMES = ("postgres", "redis", "gateway", "chat-service", "history-service", "agent-worker-1", "task-tools")
STAND_IN = Path(__file__).with_name("stand_in_service.py")
UP_SECONDS = 60.0
DOWN_SECONDS = 30.0


def make_project(root: Path) -> None:
    """Write packages of the services' names, which shadow the real ones for programs started in the folder."""
    for package, port_setting in SERVICES.items():
        folder = root / package
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        run = f"runpy.run_path({str(STAND_IN)!r}, run_name='__main__')"
        (folder / "__main__.py").write_text(f"import runpy, sys\nsys.argv[1:] = [{port_setting!r}]\n{run}\n")
        (folder / "migrate.py").write_text(f"print('migrated {package}')\n")


@dataclass(frozen=True)
class Launched:
    """A launcher under test."""

    process: Process
    root: Path
    log: Path
    environment: Mapping[str, str]

    @property
    def output(self) -> str:
        """All it has printed so far."""
        return self.log.read_text(errors="replace")

    @property
    def pids(self) -> PidFiles:
        """The pid files of its data folder."""
        return PidFiles(self.root / ".data" / "pids")

    def living(self, *names: str) -> dict[str, int]:
        """Return the programs (all by default) whose recorded process lives, with their pids."""
        found = {name: self.pids.living(name) for name in names or NAMES}
        return {name: pid for name, pid in found.items() if pid is not None}

    async def up(self) -> dict[str, int]:
        """Wait until all is up; returns the pids by name."""
        await eventually(self._is_up, seconds=UP_SECONDS, what="the launcher is up")
        return self.living()

    async def end(self, number: signal.Signals) -> int:
        """Signal the launcher and wait for its end; returns its exit code."""
        self.process.send_signal(number)
        return await self.process.wait()

    def _is_up(self) -> bool:
        assert self.process.returncode is None, self.output
        return "Threadkeep is up" in self.output


def ports() -> dict[str, str]:
    """Return free ports for all services."""
    return {name: str(free_port()) for name in SERVICES.values()}


def gone(pids: Mapping[str, int]) -> bool:
    """Tell whether none of these processes lives any more."""
    return all(started_at(pid) is None for pid in pids.values())


@asynccontextmanager
async def launched(root: Path, arguments: tuple[str, ...] = ("up",), **environment: str) -> AsyncGenerator[Launched]:
    """Run `python -m launcher` in the folder, without the page, until the block is left."""
    env = {**inherited_environment(), **ports(), "UI": "0", "WORKERS": "1", **environment}
    log = root / f"launcher-{free_port()}.log"
    command = Command((sys.executable, "-m", "launcher", *arguments), env, root)
    with log.open("ab") as output:
        process = await spawn(command, output=output)
    try:
        yield Launched(process, root, log, env)
    finally:
        await stop(process, signal.SIGTERM, DOWN_SECONDS)
