"""The machine's cores: what is measured has one for itself, everything else shares the other."""

import os
import shutil

_CORES = sorted(os.sched_getaffinity(0))

MEASURED_CORE = _CORES[0]
OTHER_CORE = _CORES[-1]


def pinned(core: int, *argv: str) -> tuple[str, ...]:
    """Return the command that runs a program on one core, where the machine can."""
    taskset = shutil.which("taskset")
    return (taskset, "-c", str(core), *argv) if taskset and len(_CORES) > 1 else argv


def load() -> str:
    """Return how busy the machine is: figures of a busy one are worth less."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
