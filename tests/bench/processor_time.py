"""Processor time of other processes (Linux)."""

import os
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return user and system time of all threads of a process so far, in nanoseconds' resolution."""
    # clock_getcpuclockid(3): the clock of a process; proc(5) has the same in ticks of 10 ms.
    return time.clock_gettime(~pid << 3 | 2)


def tree_cpu_seconds(pid: int) -> float:
    """Return the time of a process and of its children, those that it has waited for included."""
    ended = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15]
    total = cpu_seconds(pid) + sum(map(int, ended)) / _TICKS
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            total += cpu_seconds(int(child))
        except OSError:
            continue  # it has ended; its time is part of its parent's next figure
    return total
