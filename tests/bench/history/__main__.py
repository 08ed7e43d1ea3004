"""`make bench-history`: the history-service at ten thousand and at ten million messages, in one run.

Settings (environment): MESSAGES (10,000,000) in the large database, ROUNDS (3), SECONDS (1.5) for each figure of
a round, CONCURRENCY (8) for requests per second, BENCH_FOLDER (.data/bench) for the databases. They are kept: the first
run loads them. Figures are medians over the rounds with their spread. Compare figures of one run only.
"""

import asyncio
import statistics
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tests.bench.console import say, setting
from tests.bench.history.acts import Act, Acts
from tests.bench.history.databases import BenchDatabase, bench_databases
from tests.bench.history.load_client import Measured, put_load
from tests.bench.history.plans import measured_plans
from tests.bench.history.servers import Servers, running_servers, signer

SMALL = 10_000
BASELINE = "bare route"
NEWEST = "newest page"
MAX_SLOWDOWN = 1.5
MIN_SHARE = 0.6


@dataclass(frozen=True)
class BenchSettings:
    """How much, how long, how many at once, and where."""

    messages: int
    rounds: int
    seconds: float
    concurrency: int
    folder: Path


class FailedRequestsError(Exception):
    """Requests were not answered as they should."""


@dataclass(frozen=True)
class Figures:
    """One round of one act: alone, and several at once."""

    alone: Measured
    together: Measured


Results = dict[tuple[int, str], list[Figures]]


async def main(settings: BenchSettings) -> None:
    """Load what is missing, measure, print the table and the plans."""
    sizes = sorted({SMALL, settings.messages})
    with tempfile.TemporaryDirectory() as logs:
        async with bench_databases(settings.folder, sizes) as databases:
            async with running_servers(databases, Path(logs)) as servers:
                results = await _measure(servers, settings)
            plans, faults = await measured_plans(databases[-1])
    lines = [*_tables(databases, results, settings), ""]
    for act, made in plans.items():
        for plan in made:
            lines += [f"{act} ({plan.milliseconds:.2f} ms)", *(f"    {line}" for line in plan.lines())]
    lines += ["", *_verdicts(results, settings)]
    lines += [f"query plans: {'index use only: goal met' if not faults else 'goal missed'}", *faults]
    sys.stdout.write("\n".join(lines) + "\n")


async def _measure(servers: list[Servers], settings: BenchSettings) -> Results:
    results: Results = defaultdict(list)
    acts = {
        each.service: Acts(each.database.dataset, signer("chat-service"), signer("agent-worker")) for each in servers
    }
    for number in range(settings.rounds + 1):
        say(f"round {number} of {settings.rounds}" if number else "warming up")
        for act_number in range(len(acts[servers[0].service].all())):
            for each in servers:
                act = acts[each.service].all()[act_number]
                plays = [(act, each.service)]
                if act.name == NEWEST:
                    plays.append((Act(BASELINE, acts[each.service].baseline), each.baseline))
                # In turns, so that neither is always the one that follows on the other's load.
                for played, port in plays if number % 2 else reversed(plays):
                    figures = await _play(each, port, played, settings)
                    if number:
                        results[each.database.dataset.messages, played.name].append(figures)
    return results


async def _play(servers: Servers, port: int, act: Act, settings: BenchSettings) -> Figures:
    measured: list[Measured] = []
    for concurrency in (1, settings.concurrency):
        if act.resets:
            await servers.database.requeue()
        measured.append(await put_load(port, act.requests(), concurrency=concurrency, seconds=settings.seconds))
    for each in measured:
        if each.failures or not each.latencies:
            raise FailedRequestsError(f"{act.name}: {each.failures} failed, such as:\n{each.last_failure}")
    return Figures(*measured)


def _tables(databases: list[BenchDatabase], results: Results, settings: BenchSettings) -> list[str]:
    lines: list[str] = []
    for database in databases:
        data = database.dataset
        lines += [
            "",
            f"{data.messages:,} messages, {data.conversations:,} conversations, {data.users:,} users; {database.load}",
            f"{'':<22}{'p50 ms, alone':>24}{'p99 ms, alone':>24}{f'requests/s, {settings.concurrency} at once':>28}",
        ]
        for (messages, act), rounds in results.items():
            if messages == data.messages:
                p50 = _spread([each.alone.percentile(0.5) for each in rounds], 2)
                p99 = _spread([each.alone.percentile(0.99) for each in rounds], 2)
                rate = _spread([each.together.per_second for each in rounds], 0)
                lines.append(f"{act:<22}{p50:>24}{p99:>24}{rate:>28}")
    return lines


def _verdicts(results: Results, settings: BenchSettings) -> list[str]:
    """Ratios of figures that were measured one right after the other, in the same round."""
    lines: list[str] = []
    small, large = results[SMALL, NEWEST], results[settings.messages, NEWEST]
    slower = [b.alone.percentile(0.5) / a.alone.percentile(0.5) for a, b in zip(small, large, strict=True)]
    lines.append(_verdict("newest page, p50 to that at 10,000", slower, "at most", MAX_SLOWDOWN))
    for messages in sorted({SMALL, settings.messages}):
        pairs = zip(results[messages, NEWEST], results[messages, BASELINE], strict=True)
        shares = [service.together.per_second / bare.together.per_second for service, bare in pairs]
        lines.append(_verdict(f"requests/s to the bare route's, {messages:,}", shares, "at least", MIN_SHARE))
    return lines


def _verdict(what: str, ratios: list[float], bound: str, goal: float) -> str:
    median = statistics.median(ratios)
    met = median <= goal if bound == "at most" else median >= goal
    return f"{what}: {_spread(ratios, 2)}, {bound} {goal}: goal {'met' if met else 'missed'}"


def _spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


if __name__ == "__main__":
    asyncio.run(
        main(
            BenchSettings(
                messages=int(setting("MESSAGES", "10000000")),
                rounds=int(setting("ROUNDS", "3")),
                seconds=float(setting("SECONDS", "1.5")),
                concurrency=int(setting("CONCURRENCY", "8")),
                folder=Path(setting("BENCH_FOLDER", ".data/bench")),
            )
        )
    )
