"""A client that leaves before its body is complete: its own affair, and no failure of ours."""

import asyncio
import logging
from collections import Counter
from urllib.parse import urlsplit

import pytest
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION
from prometheus_client import REGISTRY

from tests.support.servers import eventually


def _answers() -> Counter[str]:
    """Return how many answers of each status the MCP server was counted for."""
    counted: Counter[str] = Counter()
    for metric in REGISTRY.collect():
        for sample in metric.samples:
            if sample.name == "threadkeep_http_requests_total" and sample.labels["route"] == "/mcp":
                counted[sample.labels["status"]] += int(sample.value)
    return counted


@pytest.mark.parametrize("version", [LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION])
async def test_an_mcp_client_that_leaves_within_its_body(
    base_url: str, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    address = urlsplit(base_url)
    lines = (
        "POST /mcp HTTP/1.1",
        f"Host: {address.netloc}",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "Content-Length: 100",
        f"MCP-Protocol-Version: {version}",
    )
    before = _answers()
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write("\r\n".join((*lines, "", '{"jsonrpc": "2.0"')).encode())
    writer.close()
    await writer.wait_closed()
    await eventually(lambda: _answers() != before, what="the request is given up")
    assert _answers() - before == {"422": 1}
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
