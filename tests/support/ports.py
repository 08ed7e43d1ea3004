"""Ports for the servers that tests start."""

import os
import random
import socket
from itertools import cycle

from launcher.ports import LOOPBACK

_ROOM = 5
"""Ports between two of them, for programs that count on from one, like workers."""

_PROCESSES = 8
_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))  # noqa: TID251 - set by pytest-xdist

_PORTS = range(10_000 + _PROCESS % _PROCESSES * _ROOM, 32_000, _PROCESSES * _ROOM)
"""Below those that Linux gives to outgoing connections (ip(7), `ip_local_port_range`). Processes that test side by side
have others: a server takes its port seconds after it was chosen."""

_BEGIN = random.randrange(len(_PORTS))  # noqa: S311 - one that was used by an earlier run may not be free at once
_CHOICE = cycle([*_PORTS[_BEGIN:], *_PORTS[:_BEGIN]])


def free_port() -> int:
    """Return a port that nobody listens on, and that was not returned lately."""
    return next(port for port in _CHOICE if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
