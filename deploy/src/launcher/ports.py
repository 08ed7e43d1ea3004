"""TCP ports on the loopback address."""

import socket
from collections.abc import Mapping
from contextlib import suppress

from launcher.errors import PortTakenError
from launcher.processes import listener_on

LOOPBACK = "127.0.0.1"
LOOPBACK_V6 = "::1"
CONNECT_SECONDS = 0.5


def free_port() -> int:
    """Return a port that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def is_taken(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether a program already listens on the port, on the host or where `localhost` may lead."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return any(_answers(address, port) for address in (LOOPBACK, LOOPBACK_V6))


def check_ports(wanted: Mapping[str, int], host: str) -> None:
    """Raise PortTakenError for the first setting whose port another program, or another setting, has."""
    by_port: dict[int, str] = {}
    for setting, port in wanted.items():
        if port in by_port:
            raise PortTakenError(f"{setting} and {by_port[port]} are both {port}: set one of them to another port.")
        by_port[port] = setting
    for setting, port in wanted.items():
        if is_taken(port, host):
            owner = listener_on(port)
            who = f" ({owner})" if owner else ""
            name = setting.partition(" ")[0]
            raise PortTakenError(
                f"Port {port} ({setting}) is taken by another program{who}: "
                f"stop it, or choose another port, e.g. `{name}={port + 100} make up`."
            )


def _answers(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), timeout=CONNECT_SECONDS):
        return True
    return False
