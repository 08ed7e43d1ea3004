"""Which faults happen when: all of it chosen by the seed. Pure."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tests.faults.options import Options
from tests.faults.product import edge_names, process_names

Kind = Literal["kill", "terminate", "freeze", "flush", "cut", "delay", "hold"]

WEIGHTS: dict[Kind, int] = {"kill": 8, "freeze": 6, "terminate": 3, "cut": 4, "delay": 2, "hold": 3, "flush": 2}
_OF_PROCESSES: frozenset[Kind] = frozenset({"kill", "terminate", "freeze"})


@dataclass(frozen=True)
class Fault:
    """One fault. `kill`: SIGKILL; `terminate`: the polite signal; `freeze`: SIGSTOP, later SIGCONT; `flush`: FLUSHALL.

    `cut`, `delay` and `hold` are of connections: reset; every piece of data late; nothing passes. Times in seconds.
    """

    pause: float
    """Since the fault before."""
    kind: Kind
    target: str
    """A process, or a connection as `from→to`."""
    seconds: float
    """How long it lasts, if it lasts."""
    amount: float
    """Share of the connections that are cut, or each delay."""

    @property
    def name(self) -> str:
        """What happens to whom."""
        return f"{self.kind} {self.target}"

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.kind in {"freeze", "delay", "hold"} else ""
        return f"{self.name}{lasting}"


def schedule(options: Options) -> Iterator[Fault]:
    """Yield the seed's faults in order, without end."""
    chance = random.Random(f"{options.seed} faults")  # noqa: S311 - repeatable choices, not secrets
    kinds: list[Kind] = [kind for kind, weight in WEIGHTS.items() for _ in range(weight)]
    while True:
        pause, kind = chance.uniform(*options.pause_seconds), chance.choice(kinds)
        process, edge = chance.choice(process_names(options.workers)), chance.choice(edge_names())
        target = process if kind in _OF_PROCESSES else "redis" if kind == "flush" else edge
        amount = chance.uniform(0.02, 0.3) if kind == "delay" else chance.choice((0.3, 1.0))
        yield Fault(pause, kind, target, _seconds(chance, options.longest_freeze_seconds), amount)


def _seconds(chance: random.Random, longest: float) -> float:
    """Choose a duration: most are short, many are not."""
    short = min(5.0, longest)
    return chance.uniform(1.0, short) if chance.random() < 0.6 else chance.uniform(short, longest)
