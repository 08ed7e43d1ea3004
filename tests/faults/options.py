"""What one run of the suite is told: by the environment, or by a test."""

import os
import random
from dataclasses import dataclass, field

SPARE_SECONDS = 5.0


def _fresh_seed() -> int:
    return random.SystemRandom().randrange(10**6)


@dataclass(frozen=True)
class Options:
    """The same options, seed included, make the same choices of messages and faults. Times are in seconds."""

    runs: int = 100
    """User messages in all; the last conversation may exceed it."""
    streams: int = 12
    """Conversations at once."""
    seed: int = field(default_factory=_fresh_seed)
    pause_seconds: tuple[float, float] = (2.0, 6.0)
    """Between the beginnings of two faults."""
    longest_freeze_seconds: float = 25.0
    lease_seconds: float | None = None
    """RUN_LEASE_SECONDS of the product; None: its default."""
    workers: int = 2
    only: int | None = None
    """Hold this one conversation of the seed's, among the same faults."""
    most_turns: int = 4
    longest_text: int = 200
    """Numbers in a `/words` answer."""

    @property
    def lease(self) -> float:
        """The lease in force."""
        return 15.0 if self.lease_seconds is None else self.lease_seconds

    @property
    def stream_end_seconds(self) -> float:
        """How long after its run's end a stream may stay open."""
        return 2 * self.lease + SPARE_SECONDS

    @property
    def message_seconds(self) -> float:
        """How long one message may take to its answer's end: three attempts, each lost to a freeze, and restarts."""
        return 120.0 + 6 * self.lease


def recovery_rounds() -> int:
    """Return how often recovery is to be measured (ROUNDS), or 0 without RECOVERY."""
    environ = _environment()
    return int(environ.get("ROUNDS", 3)) if environ.get("RECOVERY", "0") != "0" else 0


def options_from_environment() -> Options:
    """Read RUNS, STREAMS, SEED, FAULT_SECONDS (`2` or `2-6`), RUN_LEASE_SECONDS, WORKERS and ONLY."""
    environ = _environment()
    low, _, high = environ.get("FAULT_SECONDS", "2-6").partition("-")
    return Options(
        runs=int(environ.get("RUNS", 100)),
        streams=int(environ.get("STREAMS", 12)),
        seed=int(environ.get("SEED", _fresh_seed())),
        pause_seconds=(float(low), float(high or low)),
        lease_seconds=float(environ["RUN_LEASE_SECONDS"]) if "RUN_LEASE_SECONDS" in environ else None,
        workers=int(environ.get("WORKERS", 2)),
        only=int(environ["ONLY"]) if "ONLY" in environ else None,
    )


def _environment() -> dict[str, str]:
    """Return what is set to something: make exports names that are not."""
    return {name: value for name, value in os.environ.items() if value}  # noqa: TID251 - the program's own settings
