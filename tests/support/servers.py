"""Real servers and programs for tests."""

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from launcher.children import Command, inherited_environment, spawn, stop
from launcher.ports import LOOPBACK
from service_kit.app import KEEP_ALIVE_SECONDS

START_SECONDS = 20.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.01
GRACE_SECONDS = 1.0
"""How long open requests of a server that ends may take."""

Condition = Callable[[], Awaitable[bool] | bool]


async def eventually(condition: Condition, *, seconds: float = START_SECONDS, what: str = "condition") -> None:
    """Wait until the condition (sync or async) is true; fails after the bound."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        answer = condition()
        if answer if isinstance(answer, bool) else await answer:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        await asyncio.sleep(POLL_SECONDS)


class PromptServer(uvicorn.Server):
    """Ends as soon as it can. Uvicorn looks for a reason to end ten times a second: too slow for a thousand tests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ending = asyncio.Event()

    async def main_loop(self) -> None:
        """Serve until `ending` is set."""
        await self.on_tick(0)
        await self.ending.wait()

    async def shutdown(self, sockets: object = None) -> None:
        """Let open requests end, or cancel them."""
        state = self.server_state
        for server in self.servers:
            server.close()
        for connection in list(state.connections):
            connection.shutdown()
        try:
            await eventually(lambda: not state.connections and not state.tasks, seconds=GRACE_SECONDS)
        except AssertionError:
            for task in state.tasks:
                task.cancel()
        await self.lifespan.shutdown()


@asynccontextmanager
async def serve(app: Callable[..., Any], *, port: int = 0, **options: Any) -> AsyncGenerator[str]:
    """Serve an ASGI app in the running loop, lifespan included, on a free port unless one is given; gives its address.

    A real socket: in-process transports buffer a whole streamed response. `options` are further ones of uvicorn.
    Idle connections are kept as the services keep theirs: httpx gives them up after 5 s, as uvicorn does by itself, and
    would ask over one that is just being closed.
    """
    options = {"log_config": None, "access_log": False, "proxy_headers": False, **options}
    options.setdefault("timeout_keep_alive", KEEP_ALIVE_SECONDS)
    server = PromptServer(uvicorn.Config(app, host=LOOPBACK, port=port, lifespan="on", **options))
    task = asyncio.create_task(server._serve())  # pyright: ignore[reportPrivateUsage] - serve() takes over signals
    try:
        await eventually(lambda: server.started or task.done(), what="uvicorn started")
        if task.done():
            await task
            raise AssertionError("the app did not start: its lifespan failed, see the log")
        yield f"http://{LOOPBACK}:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.ending.set()
        async with asyncio.timeout(STOP_SECONDS):
            await task


@dataclass(frozen=True)
class RunningProgram:
    """A program under test and the file that its output goes to."""

    process: Process
    log: Path

    @property
    def output(self) -> str:
        """All output so far."""
        return self.log.read_text(errors="replace")


@asynccontextmanager
async def run_process(
    argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, ready_url: str | None = None
) -> AsyncGenerator[RunningProgram]:
    """Run a program until the block is left; waits until `ready_url` answers 200, if given.

    The environment is that of the machine (PATH and the like) plus `env`. A leading `python` is this interpreter.
    """
    command = (sys.executable, *argv[1:]) if argv[0] == "python" else tuple(argv)
    wanted = Command(command, env={**inherited_environment(), **(env or {})})
    with log.open("ab") as output:
        process = await spawn(wanted, output=output)
    program = RunningProgram(process, log)
    try:
        if ready_url:
            await _wait_ready(program, ready_url)
        yield program
    finally:
        await stop(process, wanted.stop_signal, STOP_SECONDS)


async def _wait_ready(program: RunningProgram, url: str) -> None:
    async with httpx.AsyncClient(timeout=2.0) as client:

        async def is_ready() -> bool:
            if program.process.returncode is not None:
                raise AssertionError(f"exit code {program.process.returncode}:\n{program.output}")
            try:
                return (await client.get(url)).is_success
            except httpx.HTTPError:
                return False

        try:
            await eventually(is_ready, what=f"{url} answers 200")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{program.output}") from error
