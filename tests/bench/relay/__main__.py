"""`make bench-relay`: what a token and a message cost, per process, beside a single process without any of it.

Settings (environment): STREAMS (20) answers at once, ROUNDS (3), TOKENS_PER_SECOND (50) of the demo model. Figures are
medians over the rounds with their spread; ratios are of figures of one round. Compare figures of one run only.
"""

import asyncio
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.console import say, setting
from tests.bench.figures import spread, verdict
from tests.bench.machine import load
from tests.bench.relay.contestants import (
    BASELINE,
    PROCESSES,
    RELAY,
    Baseline,
    Product,
    running_baseline,
    running_product,
)
from tests.bench.relay.rounds import FEW, LONG, SHORT, Costs, ask_at_once, first_texts, measure_costs

CROWD = 50
"""Streams started at once for the first text."""

ALONE_TRIES = 10
"""In each round, one after the other, ours and the baseline's in turn."""

CROWD_TRIES = 3
"""The same for those started at once."""

PAUSE_SECONDS = 1.0
"""Between two figures, so that what a run's end leaves to do is not part of the next one."""

RELAY_LIMIT, RELAY_GOAL = 0.35, 0.25
ALL_GOAL = 1.3
MESSAGE_MILLISECONDS = 20.0
LATER_MILLISECONDS = 20.0


@dataclass(frozen=True)
class BenchSettings:
    """How many answers at once, how often, and how fast."""

    streams: int
    rounds: int
    tokens_per_second: int


@dataclass(frozen=True)
class FirstTexts:
    """Seconds to the first text in one round, medians of several tries: alone; the median and the last of a crowd."""

    alone: float
    crowd: float
    last: float


@dataclass
class Results:
    """One entry a round."""

    ours: list[Costs] = field(default_factory=list[Costs])
    baseline: list[Costs] = field(default_factory=list[Costs])
    our_texts: list[FirstTexts] = field(default_factory=list[FirstTexts])
    baseline_texts: list[FirstTexts] = field(default_factory=list[FirstTexts])


async def main(settings: BenchSettings) -> None:
    """Warm up, play the rounds, print the tables and the verdicts."""
    speed = settings.tokens_per_second
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            running_baseline(folder, tokens_per_second=speed) as baseline,
            running_product(folder, streams=max(settings.streams, CROWD), tokens_per_second=speed) as product,
        ):
            results = await _measure(product, baseline, settings)
    sys.stdout.write("\n".join(_report(results, settings)) + "\n")


async def _measure(product: Product, baseline: Baseline, settings: BenchSettings) -> Results:
    results = Results()
    say("warming up")
    for contestant in (product, baseline):
        await ask_at_once(contestant, max(settings.streams, CROWD), FEW)
    for number in range(1, settings.rounds + 1):
        say(f"round {number} of {settings.rounds}, {load()}")
        turns = [(baseline, results.baseline), (product, results.ours)]
        for contestant, costs in turns if number % 2 else reversed(turns):
            await asyncio.sleep(PAUSE_SECONDS)
            costs.append(await measure_costs(contestant, settings.streams))
        ours, theirs = await _first_texts(product, baseline)
        results.our_texts.append(ours)
        results.baseline_texts.append(theirs)
    return results


async def _first_texts(product: Product, baseline: Baseline) -> tuple[FirstTexts, FirstTexts]:
    alone: dict[Product | Baseline, list[float]] = {product: [], baseline: []}
    crowds: dict[Product | Baseline, list[list[float]]] = {product: [], baseline: []}
    for _ in range(ALONE_TRIES):
        for contestant, seconds in alone.items():
            seconds += await first_texts(contestant, 1, FEW)
    for _ in range(CROWD_TRIES):
        for contestant, tries in crowds.items():
            await asyncio.sleep(PAUSE_SECONDS)
            tries.append(await first_texts(contestant, CROWD, FEW))

    def texts_of(contestant: Product | Baseline) -> FirstTexts:
        medians = [statistics.median(crowd) for crowd in crowds[contestant]]
        lasts = [max(crowd) for crowd in crowds[contestant]]
        return FirstTexts(statistics.median(alone[contestant]), statistics.median(medians), statistics.median(lasts))

    return texts_of(product), texts_of(baseline)


def _report(results: Results, settings: BenchSettings) -> list[str]:
    title = (
        f"{settings.streams} answers at once of {FEW}, {SHORT} and {LONG} tokens, {settings.tokens_per_second} tokens/s"
    )
    events = [costs.events_by_token for costs in results.ours]
    return [
        f"{title}, {settings.rounds} rounds; {load()}",
        "",
        *_cost_table(results),
        "",
        f"tokens an event of text: {spread([1 / each for each in events], 2)}",
        "",
        *_first_text_table(results),
        "",
        *_verdicts(results),
    ]


def _cost_table(results: Results) -> list[str]:
    """One line a process."""
    lines = [f"{'processor time':<18}{'µs a token':>26}{'µs an event':>28}{'ms a message':>26}{'by the line':>26}"]

    def line(name: str, rounds: list[Costs], processes: tuple[str, ...]) -> str:
        tokens = [costs.tokens_of(*processes) * 1e6 for costs in rounds]
        events = [micros / costs.events_by_token for micros, costs in zip(tokens, rounds, strict=True)]
        messages = [sum(costs.by_message[each] for each in processes) * 1e3 for costs in rounds]
        of_line = [sum(costs.by_message_of_line[each] for each in processes) * 1e3 for costs in rounds]
        return (
            f"{name:<18}{spread(tokens, 1):>26}{spread(events, 1):>28}{spread(messages, 2):>26}{spread(of_line, 2):>26}"
        )

    lines.append(line(BASELINE, results.baseline, (BASELINE,)))
    lines += [line(process, results.ours, (process,)) for process in PROCESSES]
    lines.append(line("relay", results.ours, RELAY))
    lines.append(line("all", results.ours, PROCESSES))
    return lines


def _first_text_table(results: Results) -> list[str]:
    lines = [f"{'first text, ms':<18}{'alone':>26}{f'{CROWD} at once, median':>28}{f'{CROWD} at once, last':>28}"]
    for name, rounds in ((BASELINE, results.baseline_texts), ("ours", results.our_texts)):
        alone = spread([texts.alone * 1e3 for texts in rounds], 1)
        median = spread([texts.crowd * 1e3 for texts in rounds], 0)
        last = spread([texts.last * 1e3 for texts in rounds], 0)
        lines.append(f"{name:<18}{alone:>26}{median:>28}{last:>28}")
    return lines


def _verdicts(results: Results) -> list[str]:
    """Ratios of figures that were measured one right after the other, in the same round."""
    pairs = list(zip(results.ours, results.baseline, strict=True))
    relay = [ours.tokens_of(*RELAY) / theirs.token for ours, theirs in pairs]
    whole = [ours.token / theirs.token for ours, theirs in pairs]
    texts = list(zip(results.our_texts, results.baseline_texts, strict=True))
    later = [(ours.alone - theirs.alone) * 1e3 for ours, theirs in texts]
    crowd = [ours.crowd / theirs.crowd for ours, theirs in texts]
    last = [ours.last / theirs.last for ours, theirs in texts]
    of_all = "first text of all answers started at once, to the baseline's"
    return [
        verdict("a token in gateway, chat-service and Redis, limit", relay, "at most", RELAY_LIMIT),
        verdict("a token in gateway, chat-service and Redis", relay, "at most", RELAY_GOAL),
        verdict("a token in all processes", whole, "at most", ALL_GOAL),
        verdict(
            "a message in all processes",
            [costs.message * 1e3 for costs in results.ours],
            "at most",
            MESSAGE_MILLISECONDS,
            unit="ms",
        ),
        verdict("first text alone, after the baseline's", later, "at most", LATER_MILLISECONDS, unit="ms"),
        verdict(f"{of_all} (median)", crowd, "at most", 1.0),
        verdict(f"{of_all} (last)", last, "at most", 1.0),
    ]


if __name__ == "__main__":
    asyncio.run(
        main(
            BenchSettings(
                int(setting("STREAMS", "20")), int(setting("ROUNDS", "3")), int(setting("TOKENS_PER_SECOND", "50"))
            )
        )
    )
