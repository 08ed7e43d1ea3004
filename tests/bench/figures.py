"""How figures and verdicts are written: medians over the rounds with their spread."""

import statistics
from collections.abc import Sequence
from typing import Literal

Bound = Literal["at most", "at least"]


def spread(values: Sequence[float], digits: int) -> str:
    """Return the median and, in brackets, the least and the greatest value."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def verdict(what: str, values: Sequence[float], bound: Bound, goal: float, *, digits: int = 2, unit: str = "") -> str:
    """Say whether the median keeps to the goal."""
    median = statistics.median(values)
    met = median <= goal if bound == "at most" else median >= goal
    unit = f" {unit}" if unit else ""
    return f"{what}: {spread(values, digits)}{unit}, {bound} {goal:g}{unit}: goal {'met' if met else 'missed'}"
