"""Ports for the servers that tests start."""

import random
import socket
from itertools import cycle

from launcher.ports import LOOPBACK

_PORTS = range(20_000, 32_000, 5)
"""Below those that Linux gives to outgoing connections (ip(7), `ip_local_port_range`). Between two of them is room for
programs that count on from one, like workers."""

_BEGIN = random.randrange(len(_PORTS))  # noqa: S311 - processes that test side by side begin at different ports
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
