"""`make bench-streams`: idle event streams through the gateway and the chat-service, and what they cost.

Settings (environment): STREAMS (2000), each of a run of its own that waits for a worker, ROUNDS (5), KEEPALIVE_SECONDS
(15). In turns, others ask for SECONDS (3) without the streams and while they are open; each time with them is compared
with those right before and right after it. Memory is what the processes have; the kernel keeps that of the sockets.
Compare figures of one run only.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import cycle, pairwise
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.console import say, setting
from tests.bench.figures import spread, verdict
from tests.bench.history.load_client import Measured, put_load, request
from tests.bench.machine import load
from tests.bench.memory import resident_bytes
from tests.bench.processor_time import cpu_seconds, tree_cpu_seconds
from tests.bench.streams.runs import create_runs
from tests.bench.streams.watcher import WatchedStream, watched_streams
from tests.support.system import System, running_system

STREAMS_PER_USER = 20
WARM_STREAMS = 20
CONNECTIONS = 4
ENDED_STREAMS = 20
SERVICES = ("gateway", "chat-service")
PROCESSES = (*SERVICES, "history-service", "redis", "postgres")

MEMORY_GOAL = 60.0
SLOWER_GOAL = 1.25
COMMENT_SLACK_SECONDS = 10.0
SETTLE_SECONDS = 2.0
END_SECONDS = 20.0


@dataclass(frozen=True)
class BenchSettings:
    """How many streams, and how long the others ask."""

    streams: int
    rounds: int
    seconds: float
    keepalive_seconds: float


@dataclass(frozen=True)
class Idle:
    """What streams cost while nothing happens: bytes of memory for each, and shares of a core, by process."""

    memory: Mapping[str, float]
    without: Mapping[str, float]
    waiting: Mapping[str, float]
    comments: list[int]
    open_seconds: float


@dataclass(frozen=True)
class Results:
    """All that was measured. There is one more `without` than there are `during`: before the first, and after each."""

    idle: Idle
    without: list[Measured]
    during: list[Measured]
    end_seconds: float


class Bench:
    """One product, and its users."""

    def __init__(self, system: System, settings: BenchSettings) -> None:
        self._system = system
        self._settings = settings
        self._port = urlsplit(system.gateway_url).port or 0
        users = max(1, settings.streams // STREAMS_PER_USER)
        self._tokens = {f"user-{number}": system.token(f"user-{number}", seconds=3600) for number in range(users)}

    async def measure(self) -> Results:
        """Make the runs; look at idle streams; ask others without and with streams, in turns; end some runs."""
        settings = self._settings
        say(f"making {settings.streams} runs, {load()}")
        runs = await create_runs(self._system.gateway_url, self._tokens, settings.streams)
        # What a process takes once and keeps, it takes before the first measurement.
        async with self._open(runs[:WARM_STREAMS]):
            await self._ask(1)
        idle = await self._look_at_idle(runs)
        without, during = [await self._ask_without()], list[Measured]()
        for number in range(1, settings.rounds + 1):
            say(f"round {number} of {settings.rounds}, {load()}")
            async with self._open(runs):
                during.append(await self._ask(settings.seconds))
            without.append(await self._ask_without())
        async with self._open(runs) as streams:
            return Results(idle, without, during, await self._end(runs, streams))

    async def _look_at_idle(self, runs: list[tuple[str, str]]) -> Idle:
        say(f"looking at the processes without streams, {load()}")
        await asyncio.sleep(SETTLE_SECONDS)
        without = await self._shares(self._settings.keepalive_seconds)
        memory, began = self._memory(), time.perf_counter()
        async with self._open(runs) as streams:
            opened = time.perf_counter() - began
            say(f"{len(streams)} streams are open after {opened:.1f} s, {load()}")
            waiting = await self._shares(self._settings.keepalive_seconds + COMMENT_SLACK_SECONDS)
            now = self._memory()
        grown = {service: (now[service] - memory[service]) / len(streams) for service in SERVICES}
        return Idle(grown, without, waiting, [stream.comments for stream in streams], opened)

    def _open(self, runs: list[tuple[str, str]]) -> AbstractAsyncContextManager[list[WatchedStream]]:
        return watched_streams(self._port, self._tokens, runs)

    async def _ask_without(self) -> Measured:
        await asyncio.sleep(SETTLE_SECONDS)  # the services find out that the streams have been left
        return await self._ask(self._settings.seconds)

    async def _ask(self, seconds: float) -> Measured:
        requests = cycle(
            [
                request("GET", f"/api/{user_id}/conversations", {"authorization": f"Bearer {token}"})
                for user_id, token in self._tokens.items()
            ]
        )
        measured = await put_load(self._port, requests, concurrency=CONNECTIONS, seconds=seconds)
        assert not measured.failures, measured.last_failure
        return measured

    def _memory(self) -> dict[str, int]:
        return {service: resident_bytes(self._system.pid(service)) for service in SERVICES}

    async def _shares(self, seconds: float) -> dict[str, float]:
        """Return which share of a core each process uses, while nothing happens for so long."""
        before, began = self._cpu_seconds(), time.perf_counter()
        await asyncio.sleep(seconds)
        took = time.perf_counter() - began
        return {name: (now - before[name]) / took for name, now in self._cpu_seconds().items()}

    def _cpu_seconds(self) -> dict[str, float]:
        count = {"postgres": tree_cpu_seconds}
        return {name: count.get(name, cpu_seconds)(self._system.pid(name)) for name in PROCESSES}

    async def _end(self, runs: list[tuple[str, str]], streams: list[WatchedStream]) -> float:
        """Cancel some runs; return how long after the last cancellation all their streams had ended."""
        async with self._system.client(None) as client:
            for user_id, run_id in runs[:ENDED_STREAMS]:
                headers = {"Authorization": f"Bearer {self._tokens[user_id]}"}
                (await client.post(f"/api/{user_id}/runs/{run_id}/cancel", headers=headers)).raise_for_status()
        began = time.perf_counter()
        async with asyncio.timeout(END_SECONDS):
            await asyncio.gather(*(stream.ended for stream in streams[:ENDED_STREAMS]))
        return time.perf_counter() - began


async def main(settings: BenchSettings) -> None:
    """Start the product without a worker, measure, print the table and the verdicts."""
    with tempfile.TemporaryDirectory() as name:
        async with running_system(
            Path(name) / "data",
            WORKERS="0",
            KEEPALIVE_SECONDS=f"{settings.keepalive_seconds:g}",
            RUN_QUEUE_LIMIT=str(settings.streams + 1),
            RATE_LIMIT_USER="1000000/minute",
        ) as system:
            results = await Bench(system, settings).measure()
    sys.stdout.write("\n".join(_report(results, settings)) + "\n")


def _report(results: Results, settings: BenchSettings) -> list[str]:
    idle = results.idle
    lines = [
        f"{settings.streams} idle streams, opened in {idle.open_seconds:.1f} s; {load()}",
        "",
        f"{'':<18}{'KB a stream':>14}{'ms of CPU a second, without':>30}{'with the streams':>20}",
    ]
    for name in PROCESSES:
        memory = f"{idle.memory[name] / 1024:.1f}" if name in idle.memory else ""
        lines.append(f"{name:<18}{memory:>14}{idle.without[name] * 1e3:>30.1f}{idle.waiting[name] * 1e3:>20.1f}")
    lines += ["", f"{'GET conversations':<18}{'p50 ms':>24}{'p99 ms':>26}{'requests/s':>26}"]
    for name, rounds in (("without", results.without), ("with the streams", results.during)):
        p50, p99 = (spread([each.percentile(share) for each in rounds], 1) for share in (0.5, 0.99))
        lines.append(f"{name:<18}{p50:>24}{p99:>26}{spread([each.per_second for each in rounds], 0):>26}")
    silent = sum(not comments for comments in idle.comments)
    around = [(one.percentile(0.5) + other.percentile(0.5)) / 2 for one, other in pairwise(results.without)]
    slower = [during.percentile(0.5) / p50 for during, p50 in zip(results.during, around, strict=True)]
    both = [sum(idle.memory.values()) / 1024]
    within = settings.keepalive_seconds + COMMENT_SLACK_SECONDS
    return [
        *lines,
        "",
        verdict("memory of a stream in both services", both, "at most", MEMORY_GOAL, digits=1, unit="KB"),
        verdict(f"streams without a comment in {within:g} s", [silent], "at most", 0, digits=0),
        verdict("p50 of other requests, to that without streams", slower, "at most", SLOWER_GOAL),
        f"streams of {ENDED_STREAMS} cancelled runs had ended {results.end_seconds:.2f} s after the last",
    ]


if __name__ == "__main__":
    asyncio.run(
        main(
            BenchSettings(
                streams=int(setting("STREAMS", "2000")),
                rounds=int(setting("ROUNDS", "5")),
                seconds=float(setting("SECONDS", "3")),
                keepalive_seconds=float(setting("KEEPALIVE_SECONDS", "15")),
            )
        )
    )
