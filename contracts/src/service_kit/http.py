"""HTTP by httpx, for what is asked now and then: key sets, tests. What serves requests uses `service_client`."""

import httpx

CONNECT_TIMEOUT_SECONDS = 2.0
RESPONSE_TIMEOUT_SECONDS = 10.0
MAX_CONNECTIONS = 512


def create_http_client(
    base_url: str, *, response_timeout_seconds: float | None = RESPONSE_TIMEOUT_SECONDS
) -> httpx.AsyncClient:
    """Make a client for one service. `response_timeout_seconds` bounds each silent wait; None waits for ever."""
    timeout = httpx.Timeout(response_timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS)
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS)
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=timeout,
        limits=limits,
        follow_redirects=False,
        trust_env=False,
    )
