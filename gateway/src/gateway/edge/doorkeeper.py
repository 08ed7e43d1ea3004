"""Which connections are let in, and when those that are open have run out of time."""

import asyncio
from collections import Counter
from typing import Protocol

import structlog

from gateway.edge.refusals import TOO_MANY, TOO_MANY_OF_ADDRESS, Refusal
from gateway.edge.settings import EdgeSettings
from gateway.limits.addresses import ClientAddresses

log = structlog.get_logger(__name__)

LONGEST_ROUND_SECONDS = 1.0
_ROUNDS = 4
"""Looks within the shortest time that is watched."""


class Watched(Protocol):
    """A connection as the doorkeeper sees it."""

    def check(self, now: float) -> None:
        """Look whether its time is up."""
        ...


class Doorkeeper:
    """Knows all connections. One timer watches them together: none of their own is set, moved and cancelled."""

    def __init__(self, settings: EdgeSettings, addresses: ClientAddresses) -> None:
        self.settings = settings
        self._addresses = addresses
        self._inside: dict[Watched, str | None] = {}
        self._of_address: Counter[str] = Counter()
        self._round = min(
            LONGEST_ROUND_SECONDS,
            settings.edge_head_seconds / _ROUNDS,
            settings.edge_body_idle_seconds / _ROUNDS,
            settings.edge_write_idle_seconds / _ROUNDS,
        )
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, connection: Watched, host: str | None) -> Refusal | None:
        """Take note of a new connection; it is watched even if it is refused."""
        address = self._addresses.of_peer(host) if host is not None else None
        refusal = self._refusal(address)
        self._inside[connection] = address
        if address is not None:
            self._of_address[address] += 1
        if refusal is not None:
            log.info("connection_refused", code=refusal.code, status=refusal.status)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._round, self._look)
        return refusal

    def leave(self, connection: Watched) -> None:
        """Take note that a connection has ended."""
        address = self._inside.pop(connection, None)
        if address is not None:
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]

    def _refusal(self, address: str | None) -> Refusal | None:
        if len(self._inside) >= self.settings.edge_connections:
            return TOO_MANY
        if address is not None and self._of_address[address] >= self.settings.edge_connections_per_address:
            return TOO_MANY_OF_ADDRESS
        return None

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._inside):
            connection.check(now)
        self._timer = loop.call_later(self._round, self._look) if self._inside else None
