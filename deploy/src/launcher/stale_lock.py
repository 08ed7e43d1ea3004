"""PostgreSQL's lock file, when the pid in it belongs to somebody else by now."""

from contextlib import suppress
from pathlib import Path

from launcher.processes import name_of


def remove_stale_lock(data_dir: Path) -> None:
    """Remove `postmaster.pid` if its pid was given to a program that is not PostgreSQL.

    PostgreSQL removes the file of a dead process itself, but refuses to start when any process has that pid, which
    happens after a reboot and in containers. Only to be called while this launcher owns the data folder.
    """
    lock = data_dir / "postmaster.pid"
    with suppress(OSError, ValueError, IndexError):
        name = name_of(int(lock.read_text().splitlines()[0]))
        if name is not None and not name.startswith("postgres"):
            lock.unlink()
