"""What is measured: the gateway, itself on plain httpx, and nginx, each in one process on a core of its own."""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bootstrap.debian import NGINX, WRK, DebianProgram, ensure_program
from launcher.embedded_valkey import running_valkey
from launcher.ports import LOOPBACK
from service_kit.internal_tokens import generate_signing_key
from tests.bench.gateway.identity import JWKS_PATH, Issuer
from tests.bench.gateway.nginx import answer_location, running_nginx, running_proxy
from tests.bench.machine import MEASURED_CORE, OTHER_CORE, pinned
from tests.support.ports import free_port
from tests.support.servers import run_process
from tests.support.system import PROJECT

GATEWAY, UNCACHED, HTTPX, NGINX_PROXY = "gateway", "gateway, no token cache", "gateway on httpx", "nginx"

ROUTE = "/api/{user_id}/conversations"
EVENT_ROUTE = "/api/{user_id}/runs/run_{number}/events"

_CONVERSATION = (
    '{"id": "thr_0198f2c1e4b57a3c9d2e6f8a1b4c7d90", "title": "Groceries and the week ahead", "status": "active", '
    '"metadata": {}, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-21T09:31:00.123456Z"}'
)
_ANSWER = f'{{"data": [{_CONVERSATION}, {_CONVERSATION}], "has_more": false, "after": null}}'

_NO_LIMITS = {
    "RATE_LIMIT_USER": "100000000/minute",
    "RATE_LIMIT_ADDRESS": "100000000/minute",
    "STREAMS_PER_USER": "100000",
    "STREAMS_PER_ADDRESS": "100000",
    "EDGE_CONNECTIONS_PER_ADDRESS": "10000",
}
"""Limits that count everything as ever, and that the load does not reach."""


@dataclass(frozen=True)
class Contestant:
    """A server under load."""

    name: str
    port: int
    pid: int


@dataclass(frozen=True)
class Contest:
    """All servers, and where the programs for the load are."""

    plain: list[Contestant]
    """They forward to a service that answers at once."""

    events: list[Contestant]
    """They forward to a service that streams events."""

    wrk: Path


def _program(wanted: DebianProgram) -> Path:
    """Return a program: what its variable names, one on PATH, or Debian's, unpacked. Raises BootstrapError."""
    return ensure_program(wanted, PROJECT, os.environ)  # noqa: TID251 - the program's own settings


@asynccontextmanager
async def running_contest(folder: Path, issuer: Issuer) -> AsyncGenerator[Contest]:
    """Start everything."""
    nginx = _program(NGINX)
    async with AsyncExitStack() as stack:
        start = stack.enter_async_context
        locations = answer_location(f"= {JWKS_PATH}", issuer.jwks) + answer_location("/", _ANSWER)
        service = await start(running_nginx(nginx, folder / "service", core=OTHER_CORE, locations=locations))
        events = await start(_running_event_service(folder))
        valkey = await start(running_valkey(folder / "valkey"))
        url = f"http://{LOOPBACK}:{service.port}"
        settings = {
            **issuer.settings(url),
            **_NO_LIMITS,
            "HISTORY_URL": url,
            "TOOLS_URL": url,
            "CHAT_URL": f"http://{LOOPBACK}:{events}",
            "REDIS_URL": valkey.url,
            "INTERNAL_SIGNING_KEY": generate_signing_key()[0],
            "LOG_LEVEL": "WARNING",
        }
        gateway = await start(_running_gateway(folder, GATEWAY, "gateway", settings))
        uncached = await start(_running_gateway(folder, UNCACHED, "gateway", {**settings, "JWT_CACHE_SECONDS": "0"}))
        httpx = await start(_running_gateway(folder, HTTPX, "tests.bench.gateway.httpx_gateway", settings))
        proxy = await start(running_proxy(nginx, folder / "proxy", core=MEASURED_CORE, service_port=service.port))
        streams = await start(running_proxy(nginx, folder / "streams", core=MEASURED_CORE, service_port=events))
        yield Contest(
            [gateway, uncached, httpx, Contestant(NGINX_PROXY, proxy.port, proxy.pid)],
            [gateway, Contestant(NGINX_PROXY, streams.port, streams.pid)],
            _program(WRK),
        )


@asynccontextmanager
async def _running_gateway(
    folder: Path, name: str, module: str, settings: dict[str, str]
) -> AsyncGenerator[Contestant]:
    port = free_port()
    async with run_process(
        pinned(MEASURED_CORE, sys.executable, "-m", module),
        log=folder / f"{name}.log",
        env={**settings, "GATEWAY_PORT": str(port)},
        ready_url=f"http://{LOOPBACK}:{port}/healthz",
    ) as program:
        yield Contestant(name, port, program.process.pid)


@asynccontextmanager
async def _running_event_service(folder: Path) -> AsyncGenerator[int]:
    port = free_port()
    async with run_process(
        pinned(OTHER_CORE, sys.executable, "-m", "tests.bench.gateway.event_service"),
        log=folder / "event_service.log",
        env={"PORT": str(port)},
        ready_url=f"http://{LOOPBACK}:{port}/healthz",
    ):
        yield port
