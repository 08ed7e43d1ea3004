"""`make bench-gateway`: what the gateway forwards, beside itself on plain httpx and beside nginx, in one run.

Settings (environment): ROUNDS (5), SECONDS (3) for each figure of a round, CONCURRENCY (32) connections, STREAMS (200)
of events. Each server is one process on a core of its own; the load and the services behind share another one. Figures
are medians over the rounds with their spread, ratios are of figures of one round. Compare figures of one run only.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import uvloop

from tests.bench.console import say, setting
from tests.bench.figures import spread, verdict
from tests.bench.gateway.contestants import (
    EVENT_ROUTE,
    GATEWAY,
    HTTPX,
    NGINX_PROXY,
    ROUTE,
    UNCACHED,
    Contest,
    Contestant,
    running_contest,
)
from tests.bench.gateway.event_client import event_count, open_streams
from tests.bench.gateway.event_service import EVENT
from tests.bench.gateway.identity import Issuer
from tests.bench.gateway.wrk import FailedRequestsError, Measured, put_load, write_script
from tests.bench.machine import OTHER_CORE, load
from tests.bench.processor_time import cpu_seconds

USERS = 100
EVENT_MILLISECONDS = 40
FLAT_OUT_STREAMS = 20
PAUSE_SECONDS = 0.5

HTTPX_GOAL = 5.0
NGINX_GOAL = 0.07
EVENT_GOAL = 25.0


@dataclass(frozen=True)
class BenchSettings:
    """How often, how long, and how much at once."""

    rounds: int
    seconds: float
    connections: int
    streams: int


@dataclass(frozen=True)
class Events:
    """Events per second over all streams, and the server's processor time for each (µs)."""

    per_second: float
    cpu_micros: float


@dataclass
class Results:
    """One entry a round, by contestant."""

    together: Mapping[str, list[Measured]]
    alone: Mapping[str, list[Measured]]
    paced: Mapping[str, list[Events]]
    flat_out: Mapping[str, list[Events]]


async def main(settings: BenchSettings) -> None:
    """Warm up, play the rounds, print the tables and the verdicts."""
    # The programs that are started choose their own cores; a client of event streams is part of the load.
    issuer = Issuer()
    tokens = issuer.tokens(USERS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = write_script(folder / "load.lua", ROUTE, tokens)
        async with running_contest(folder, issuer) as contest:
            os.sched_setaffinity(0, {OTHER_CORE})
            results = await _measure(contest, settings, script, tokens)
    sys.stdout.write("\n".join(_report(results, settings)) + "\n")


async def _measure(contest: Contest, settings: BenchSettings, script: Path, tokens: Mapping[str, str]) -> Results:
    results = Results(*(defaultdict[str, list[object]](list) for _ in range(4)))  # pyright: ignore[reportArgumentType]

    async def ask(server: Contestant, connections: int, seconds: float) -> Measured:
        try:
            return await put_load(
                contest.wrk, script, server.port, server.pid, connections=connections, seconds=seconds
            )
        except FailedRequestsError as error:
            raise FailedRequestsError(f"{server.name}: {error}") from error

    for number in range(settings.rounds + 1):
        say(f"round {number} of {settings.rounds}, {load()}" if number else "warming up")
        for server in contest.plain if number % 2 else reversed(contest.plain):
            together = await ask(server, settings.connections, settings.seconds)
            alone = await ask(server, 1, 1)
            if number:
                results.together[server.name].append(together)
                results.alone[server.name].append(alone)
        for server in contest.events if number % 2 else reversed(contest.events):
            paced = await _follow(server, tokens, settings.streams, EVENT_MILLISECONDS, settings.seconds)
            flat_out = await _follow(server, tokens, FLAT_OUT_STREAMS, 0, settings.seconds)
            if number:
                results.paced[server.name].append(paced)
                results.flat_out[server.name].append(flat_out)
    return results


async def _follow(
    server: Contestant, tokens: Mapping[str, str], streams: int, pause_milliseconds: int, seconds: float
) -> Events:
    path = f"{EVENT_ROUTE}?{pause_milliseconds}"
    async with open_streams(server.port, path, tokens, streams) as opened:
        await asyncio.sleep(PAUSE_SECONDS)
        began, cpu, events = time.perf_counter(), cpu_seconds(server.pid), event_count(opened)
        await asyncio.sleep(seconds)
        events, cpu = event_count(opened) - events, cpu_seconds(server.pid) - cpu
        figures = Events(events / (time.perf_counter() - began), cpu / events * 1e6)
    # What was on its way in the streams is none of the next figure's business.
    await asyncio.sleep(PAUSE_SECONDS)
    return figures


def _report(results: Results, settings: BenchSettings) -> list[str]:
    many = f"{settings.connections} at once"
    paced = f"{settings.streams} streams, one in {EVENT_MILLISECONDS} ms"
    lines = [
        f"GET {ROUTE}, {USERS} users with EdDSA tokens, {settings.rounds} rounds; {load()}",
        "",
        f"{many:<26}{'requests/s':>26}{'µs of CPU':>24}{'p50 ms':>24}{'p99 ms':>28}{'busy':>22}",
        *(
            f"{name:<26}{spread([each.per_second for each in rounds], 0):>26}"
            f"{spread([each.cpu_micros for each in rounds], 0):>24}"
            f"{spread([each.p50 for each in rounds], 1):>24}{spread([each.p99 for each in rounds], 1):>28}"
            f"{spread([each.busy for each in rounds], 2):>22}"
            for name, rounds in results.together.items()
        ),
        "",
        f"{'one at a time':<26}{'p50 ms':>26}{'p99 ms':>24}",
        *(
            f"{name:<26}{spread([each.p50 for each in rounds], 2):>26}{spread([each.p99 for each in rounds], 2):>24}"
            for name, rounds in results.alone.items()
        ),
        "",
        f"{f'events of {len(EVENT)} bytes':<26}{'events/s':>26}{'µs of CPU':>24}",
    ]
    for title, measured in ((paced, results.paced), (f"{FLAT_OUT_STREAMS} streams, flat out", results.flat_out)):
        lines.append(title)
        lines += [
            f"  {name:<24}{spread([each.per_second for each in rounds], 0):>26}"
            f"{spread([each.cpu_micros for each in rounds], 1):>24}"
            for name, rounds in measured.items()
        ]
    return [*lines, "", *_verdicts(results)]


def _verdicts(results: Results) -> list[str]:
    """Ratios of figures that were measured one right after the other, in the same round."""
    lines: list[str] = []
    for other, goal, digits in ((HTTPX, HTTPX_GOAL, 1), (NGINX_PROXY, NGINX_GOAL, 3)):
        rates, costs = _ratios(results, GATEWAY, other)
        lines.append(verdict(f"requests/s, to those of {other}", rates, "at least", goal, digits=digits))
        lines.append(verdict("    in a second of processor time", costs, "at least", goal, digits=digits))
        rates, costs = _ratios(results, UNCACHED, other)
        lines.append(f"    without the token cache: {spread(rates, digits)}; {spread(costs, digits)}")
    for title, measured in (("a paced event", results.paced), ("an event, flat out", results.flat_out)):
        pairs = list(zip(measured[GATEWAY], measured[NGINX_PROXY], strict=True))
        micros = [our.cpu_micros for our, _ in pairs]
        lines.append(verdict(title, micros, "at most", EVENT_GOAL, digits=1, unit="µs"))
        lines.append(f"    to nginx': {spread([our.cpu_micros / their.cpu_micros for our, their in pairs], 2)}")
    return lines


def _ratios(results: Results, ours: str, other: str) -> tuple[list[float], list[float]]:
    """Return the ratios of requests per second, and per second of processor time."""
    pairs = list(zip(results.together[ours], results.together[other], strict=True))
    rates = [our.per_second / their.per_second for our, their in pairs]
    return rates, [our.per_cpu_second / their.per_cpu_second for our, their in pairs]


if __name__ == "__main__":
    uvloop.run(
        main(
            BenchSettings(
                rounds=int(setting("ROUNDS", "5")),
                seconds=float(setting("SECONDS", "3")),
                connections=int(setting("CONCURRENCY", "32")),
                streams=int(setting("STREAMS", "200")),
            )
        )
    )
