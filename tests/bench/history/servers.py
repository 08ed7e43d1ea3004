"""The service and the bare route as programs, each with a database."""

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.principal import CONVERSATIONS_READ, CONVERSATIONS_WRITE, RUNS_WORK
from launcher.ports import LOOPBACK
from service_kit.internal_tokens import TokenSigner, generate_signing_key
from tests.bench.history.databases import BenchDatabase
from tests.support.ports import free_port
from tests.support.servers import run_process

_SCOPES = {
    "chat-service": [CONVERSATIONS_READ, CONVERSATIONS_WRITE],
    "agent-worker": [RUNS_WORK],
    "history-service": [],
}
_KEYS = {issuer: generate_signing_key() for issuer in _SCOPES}
_TRUST = {issuer: {"public_key": _KEYS[issuer][1], "scopes": scopes} for issuer, scopes in _SCOPES.items()}


@dataclass(frozen=True)
class Servers:
    """A database with the programs in front of it, by port."""

    database: BenchDatabase
    service: int
    baseline: int


def signer(issuer: str) -> TokenSigner:
    """Return what signs tokens that the service accepts."""
    return TokenSigner(issuer, _KEYS[issuer][0])


@asynccontextmanager
async def running_servers(databases: list[BenchDatabase], folder: Path) -> AsyncGenerator[list[Servers]]:
    """Start both programs for each database, with the settings that they have by default."""
    async with AsyncExitStack() as stack:
        started: list[Servers] = []
        for database in databases:
            servers = Servers(database, free_port(), free_port())
            name = f"{database.dataset.messages}"
            service = {
                "DATABASE_URL": database.url,
                "HISTORY_PORT": str(servers.service),
                "INTERNAL_SIGNING_KEY": _KEYS["history-service"][0],
                "INTERNAL_TRUST": json.dumps(_TRUST),
                "LOG_LEVEL": "WARNING",
                "BLOB_URL": f"file:{folder / 'blobs'}",
            }
            baseline = {"DATABASE_URL": database.url, "PORT": str(servers.baseline)}
            for module, env, port in (
                ("history_service", service, servers.service),
                ("tests.bench.history.baseline", baseline, servers.baseline),
            ):
                log, ready = folder / f"{module}-{name}.log", f"http://{LOOPBACK}:{port}/healthz"
                await stack.enter_async_context(
                    run_process(("python", "-m", module), log=log, env=env, ready_url=ready)
                )
            started.append(servers)
        yield started
