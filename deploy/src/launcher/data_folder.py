"""The data folder, owned by one launcher at a time."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from launcher.errors import AlreadyRunningError, LauncherError
from launcher.pidfiles import LAUNCHER, PidFiles


@contextmanager
def owned(data_dir: Path) -> Generator[PidFiles]:
    """Hold the folder until the block is left. Raises AlreadyRunningError, or LauncherError if it is not writable.

    The lock is the kernel's, so that it ends with this process, however that ends.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(data_dir / "launcher.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise LauncherError(
            f"Cannot write to {data_dir}: {error.strerror}. Set DATA_DIR to a folder you may write."
        ) from error
    pids = PidFiles(data_dir / "pids")
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = pids.living(LAUNCHER)
            raise AlreadyRunningError(
                f"Threadkeep already runs on {data_dir}{f' (pid {pid})' if pid else ''}: "
                "stop it with `make down`, or set another DATA_DIR and other ports."
            ) from error
        pids.write(LAUNCHER, os.getpid())
        yield pids
        pids.remove(LAUNCHER)
    finally:
        os.close(descriptor)
