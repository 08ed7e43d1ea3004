"""Probes by which the launcher knows that a program is ready."""

from collections.abc import Awaitable, Callable

import httpx

PROBE_SECONDS = 3.0

Probe = Callable[[], Awaitable[bool]]


def http_probe(url: str) -> Probe:
    """Return a probe that is true when the address answers with success."""

    async def is_ready() -> bool:
        try:
            # No proxy of the environment: the address is on this machine.
            async with httpx.AsyncClient(timeout=PROBE_SECONDS, trust_env=False) as client:
                return (await client.get(url)).is_success
        except httpx.HTTPError:
            return False

    return is_ready
