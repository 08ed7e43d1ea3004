"""The table of programs: what runs, in which order, and what migrates before it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from launcher.children import Command
from launcher.environments import Environments
from launcher.readiness import http_probe
from launcher.settings import LauncherSettings
from launcher.supervised import Program

READY_PATH = "/readyz"
PAGE_READY_PATH = "/healthz"
PAGE_MIGRATION = ".next/standalone/migrate.cjs"
"""What `npm run migrate` runs, made by the build."""


@dataclass(frozen=True)
class Migration:
    """A program that brings a schema up to date and ends."""

    name: str
    command: Command


def tiers(settings: LauncherSettings, environments: Environments) -> Iterator[list[Program]]:
    """Yield the services in starting order: each tier needs those before it. The gateway reads the page's keys."""
    yield [
        _python("history-service", "history_service", "HISTORY_PORT", environments),
        _python("task-tools", "task_tools", "TOOLS_PORT", environments),
        *([_page(settings, environments)] if settings.with_page else []),
    ]
    yield [
        _python("chat-service", "chat_service", "CHAT_PORT", environments),
        *(_worker(number, settings, environments) for number in range(1, settings.workers + 1)),
    ]
    yield [_python("gateway", "gateway", "GATEWAY_PORT", environments)]


def migrations(settings: LauncherSettings, environments: Environments) -> list[Migration]:
    """Return the migrations of all owners of a schema; they do not depend on each other."""
    found = [
        Migration("history-service", _module("history_service.migrate", environments.of("history-service"))),
        Migration("task-tools", _module("task_tools.migrate", environments.of("task-tools"))),
    ]
    if settings.with_page:
        command = Command(("node", PAGE_MIGRATION), environments.of("frontend"), page_folder(settings))
        found.append(Migration("frontend", command))
    return found


def wanted_ports(settings: LauncherSettings) -> dict[str, int]:
    """Return every port that will be listened on, by the setting that chooses it."""
    ports = {name: port for name, port in settings.ports.items() if name not in {"WORKER_PORT", "FRONTEND_PORT"}}
    for number in range(1, settings.workers + 1):
        ports["WORKER_PORT" if number == 1 else f"WORKER_PORT + {number - 1}"] = settings.worker_port(number)
    if settings.with_page:
        ports["FRONTEND_PORT"] = settings.ports["FRONTEND_PORT"]
    own = {"POSTGRES_PORT": settings.postgres_port, "REDIS_PORT": settings.redis_port}
    return ports | {name: port for name, port in own.items() if port is not None}


def page_folder(settings: LauncherSettings) -> Path:
    """Return the folder of the page."""
    return settings.root / "frontend"


def _python(name: str, module: str, port_setting: str, environments: Environments) -> Program:
    probe = http_probe(environments.url_of(port_setting) + READY_PATH)
    return Program(name, _module(module, environments.of(name)), probe)


def _worker(number: int, settings: LauncherSettings, environments: Environments) -> Program:
    port = settings.worker_port(number)
    command = _module("agent_worker", environments.of("agent-worker", WORKER_PORT=str(port)))
    return Program(f"agent-worker-{number}", command, http_probe(f"http://127.0.0.1:{port}{READY_PATH}"))


def _page(settings: LauncherSettings, environments: Environments) -> Program:
    # Node itself, not npm: npm would stand between the launcher and the server, and could leave it behind.
    command = Command(("node", "server/start.mjs"), environments.of("frontend"), page_folder(settings))
    return Program("frontend", command, http_probe(environments.url_of("FRONTEND_PORT") + PAGE_READY_PATH))


def _module(module: str, env: dict[str, str]) -> Command:
    return replace(Command((sys.executable, "-m", module)), env=env)
