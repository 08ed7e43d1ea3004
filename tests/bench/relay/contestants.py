"""What is measured: the product and the baseline, each by its processes."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from launcher.ports import LOOPBACK
from tests.bench.processor_time import cpu_seconds, tree_cpu_seconds
from tests.bench.relay.baseline import PATH
from tests.bench.relay.load_client import Question
from tests.support.ports import free_port
from tests.support.servers import run_process
from tests.support.system import System, running_system

RELAY = ("gateway", "chat-service", "redis")
"""The processes between a worker and a reader."""

PROCESSES = (*RELAY, "agent-worker-1", "history-service", "postgres", "task-tools")
BASELINE = "baseline"


class Contestant(Protocol):
    """Answers questions, and knows what that has cost."""

    port: int

    def question(self, number: int, tokens: int) -> Question:
        """Return a question of the user with this number."""
        ...

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time so far by process."""
        ...


class Product:
    """The whole product."""

    def __init__(self, system: System) -> None:
        self.port = urlsplit(system.gateway_url).port or 0
        self._system = system
        self._pids = {process: system.pid(process) for process in PROCESSES}

    def question(self, number: int, tokens: int) -> Question:
        user_id = f"user-{number}"
        return Question(tokens, f"/api/{user_id}/chatkit", self._system.token(user_id))

    def cpu_seconds(self) -> dict[str, float]:
        count: dict[str, Callable[[int], float]] = {"postgres": tree_cpu_seconds}
        return {process: count.get(process, cpu_seconds)(pid) for process, pid in self._pids.items()}


class Baseline:
    """The one process written from the documentation."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self._pid = pid

    def question(self, number: int, tokens: int) -> Question:
        return Question(tokens, PATH)

    def cpu_seconds(self) -> dict[str, float]:
        return {BASELINE: cpu_seconds(self._pid)}


@asynccontextmanager
async def running_product(folder: Path, *, streams: int, tokens_per_second: int) -> AsyncGenerator[Product]:
    """Start the product with room for so many streams and the settings that it has by default."""
    async with running_system(
        folder / "data", DEMO_TOKENS_PER_SECOND=str(tokens_per_second), WORKER_CONCURRENCY=str(streams)
    ) as system:
        yield Product(system)


@asynccontextmanager
async def running_baseline(folder: Path, *, tokens_per_second: int) -> AsyncGenerator[Baseline]:
    """Start the baseline."""
    port = free_port()
    env = {"PORT": str(port), "TOKENS_PER_SECOND": str(tokens_per_second)}
    async with run_process(
        ("python", "-m", "tests.bench.relay.baseline"),
        log=folder / "baseline.log",
        env=env,
        ready_url=f"http://{LOOPBACK}:{port}/healthz",
    ) as program:
        yield Baseline(port, program.process.pid)
