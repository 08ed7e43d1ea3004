"""The product under test: run by its launcher, with a proxy of ours in every connection between two processes."""

import json
import os
import random
import signal
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import redis.asyncio as redis

from launcher.embedded_postgres import SUPERUSER
from launcher.ports import LOOPBACK, is_taken
from launcher.secret_store import Secrets, load_secrets
from tests.faults.launcher import DETOURS
from tests.support.servers import eventually
from tests.support.system import System, running_system
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

EDGES = (
    *(("gateway", "CHAT_PORT"), ("gateway", "HISTORY_PORT"), ("gateway", "TOOLS_PORT")),
    *(("chat-service", "HISTORY_PORT"), ("chat-service", "REDIS_PORT")),
    *(("agent-worker", "HISTORY_PORT"), ("agent-worker", "TOOLS_PORT"), ("agent-worker", "REDIS_PORT")),
    *(("history-service", "POSTGRES_PORT"), ("task-tools", "POSTGRES_PORT")),
)
"""Who connects to what, besides the client to the gateway."""

SERVERS = {
    "GATEWAY_PORT": "gateway",
    "CHAT_PORT": "chat-service",
    "HISTORY_PORT": "history-service",
    "TOOLS_PORT": "task-tools",
    "POSTGRES_PORT": "postgres",
    "REDIS_PORT": "redis",
}
CLIENT_EDGE = "client→gateway"
HEALTHY_SECONDS = 90.0
_FIRST_PORTS, _LAST_PORTS = 20_000, 31_000
"""Below the ports that systems give to outgoing connections: a port must stay free while its service restarts."""


def edge_names() -> list[str]:
    """Return the names of all connections that have a proxy, as `from→to`."""
    return [CLIENT_EDGE, *(_edge_name(service, port) for service, port in EDGES)]


def process_names(workers: int) -> list[str]:
    """Return the names of all processes."""
    return [*SERVERS.values(), *(f"agent-worker-{number}" for number in range(1, workers + 1))]


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal those of the processes that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _edge_name(service: str, port: str) -> str:
    return f"{service}→{SERVERS[port]}"


@dataclass(frozen=True)
class Product:
    """The running product, and hands on its processes and connections."""

    system: System
    secrets: Secrets
    proxies: dict[str, TcpProxy]
    ports: dict[str, int]
    workers: int

    @property
    def client_url(self) -> str:
        """The gateway, behind its proxy."""
        return f"http://{LOOPBACK}:{self.proxies[CLIENT_EDGE].port}"

    @property
    def superuser_url(self) -> str:
        """The product's database for the superuser, whom row-level security does not bind; without a proxy."""
        secret = self.secrets.postgres_superuser_password
        return f"postgresql://{SUPERUSER}:{secret}@{LOOPBACK}:{self.ports['POSTGRES_PORT']}/threadkeep"

    def family(self, name: str) -> list[int]:
        """Return the pids of a process and its children, if it lives. Only PostgreSQL has children."""
        pid = self.system.pids.living(name)
        if pid is None:
            return []
        children: list[int] = []
        with suppress(OSError):
            children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [pid, *children]

    def signal(self, name: str, number: signal.Signals) -> bool:
        """Signal a process; tells whether it was there."""
        pids = self.family(name)[:1]
        signal_all(pids, number)
        return bool(pids)

    async def flush_redis(self) -> None:
        """Empty Redis. Raises RedisError."""
        client = redis.Redis.from_url(f"redis://:{self.secrets.redis_password}@{LOOPBACK}:{self.ports['REDIS_PORT']}/0")
        try:
            await client.flushall()
        finally:
            await client.aclose()

    async def healthy(self, seconds: float = HEALTHY_SECONDS) -> None:
        """Wait until every process is there and ready. Raises AssertionError."""
        names = process_names(self.workers)
        async with httpx.AsyncClient(timeout=5.0) as http:

            async def is_ready() -> bool:
                if any(self.system.pids.living(name) is None for name in names):
                    return False
                with suppress(httpx.HTTPError):
                    return all([(await http.get(url)).is_success for url in self.ready_urls()])
                return False

            await eventually(is_ready, seconds=seconds, what="every process is ready")

    def ready_urls(self) -> Sequence[str]:
        """Return the addresses at which services say that they are ready."""
        first = self.ports["WORKER_PORT"]
        ports = [
            *(self.ports[name] for name in ("GATEWAY_PORT", "CHAT_PORT", "HISTORY_PORT", "TOOLS_PORT")),
            *(range(first, first + self.workers)),
        ]
        return [f"http://{LOOPBACK}:{port}/readyz" for port in ports]


def _free_ports(workers: int) -> dict[str, int]:
    """Choose ports: the databases' and services', then the workers', which follow each other."""
    names = [*SERVERS, "WORKER_PORT"]
    count = len(names) + workers
    while True:
        first = random.SystemRandom().randrange(_FIRST_PORTS, _LAST_PORTS - count)
        if not any(is_taken(port) for port in range(first, first + count)):
            return {name: first + index for index, name in enumerate(names)}


@asynccontextmanager
async def running_product(
    data_dir: Path, *, workers: int, proxied: bool = True, **environment: str
) -> AsyncGenerator[Product]:
    """Run the product until the block is left. Without proxies, processes reach each other as in production."""
    ports = _free_ports(workers)
    async with AsyncExitStack() as stack:
        front = await stack.enter_async_context(tcp_proxy(ports["GATEWAY_PORT"]))
        proxies: dict[str, TcpProxy] = {CLIENT_EDGE: front}
        detours: dict[str, dict[str, int]] = {}
        for service, port in EDGES if proxied else ():
            proxy = await stack.enter_async_context(tcp_proxy(ports[port]))
            proxies[_edge_name(service, port)] = proxy
            detours.setdefault(service, {})[str(ports[port])] = proxy.port
        settings = {name: str(port) for name, port in ports.items()} | {"WORKERS": str(workers)}
        settings |= {DETOURS: json.dumps(detours), **environment}
        system = await stack.enter_async_context(
            running_system(data_dir, page=False, launcher="tests.faults.launcher", **settings)
        )
        product = Product(system, load_secrets(data_dir / "secrets.json"), proxies, ports, workers)
        try:
            yield product
        finally:
            for name in process_names(workers):
                signal_all(product.family(name), signal.SIGCONT)
            for proxy in proxies.values():
                proxy.release()
