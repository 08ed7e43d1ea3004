"""Memory of other processes (Linux)."""

from pathlib import Path

_FIELD = "Rss:"


def resident_bytes(pid: int) -> int:
    """Return how much memory a process has; what the kernel keeps for its sockets is not part of it."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(_FIELD))
