"""Facts about processes that are not ours to wait for."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def started_at(pid: int) -> str | None:
    """Return when a process was started, in a form that no later process with the same pid has; None when it is gone.

    On Linux the boot's id and clock ticks since boot; elsewhere what ps(1) says, to the second.
    """
    if sys.platform.startswith("linux"):
        with suppress(OSError, IndexError):
            # The name in parentheses may contain blanks: count the fields after it (proc_pid_stat(5)).
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            if fields[0] not in {"Z", "X"}:
                boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
                return f"{boot}:{fields[19]}"
        return None
    answer = _ps("lstart=,stat=", pid)
    return None if not answer or answer.split()[-1].startswith("Z") else answer.rpartition(" ")[0].strip()


def name_of(pid: int) -> str | None:
    """Return the command name of a process, or None when it is gone."""
    if sys.platform.startswith("linux"):
        with suppress(OSError):
            return (_PROC / str(pid) / "comm").read_text().strip()
        return None
    return _ps("comm=", pid).rpartition("/")[2] or None


def listener_on(port: int) -> str | None:
    """Say who listens on a TCP port (`name, pid`), as far as this account may know."""
    if not sys.platform.startswith("linux"):
        return None
    inodes = _listening_inodes(port)
    for descriptor in _PROC.glob("[0-9]*/fd/*") if inodes else ():
        with suppress(OSError):
            if os.readlink(descriptor) in inodes:
                pid = int(descriptor.parts[2])
                return f"{name_of(pid)}, pid {pid}"
    return None


def _listening_inodes(port: int) -> set[str]:
    listening, found = "0A", set[str]()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == listening and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found


def _ps(columns: str, pid: int) -> str:
    command = ("ps", "-o", columns, "-p", str(pid))
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed program
    return answer.stdout.strip()
