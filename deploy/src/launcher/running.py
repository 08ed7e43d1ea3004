"""One run of the product, from the first check to the last process."""

import asyncio
import os
import signal
import time
from collections.abc import Coroutine, Generator
from contextlib import contextmanager

from launcher.banner import banner
from launcher.child_watch import child_watch
from launcher.console import Console
from launcher.data_folder import owned
from launcher.databases import plan_databases
from launcher.environments import Environments
from launcher.migrating import migrate
from launcher.model import choose_model
from launcher.node import check_node
from launcher.ports import check_ports
from launcher.programs import migrations, tiers, wanted_ports
from launcher.secret_store import Secrets, load_secrets
from launcher.settings import LauncherSettings
from launcher.supervised import Surroundings
from launcher.supervisor import Supervisor

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REPEATED_SIGNAL_SECONDS = 1.0
"""Signals closer together are one request: make and a terminal may both pass it on."""


async def run(settings: LauncherSettings, console: Console) -> None:
    """Run until a signal asks to stop. Raises LauncherError when the product cannot be started."""
    choose_model(settings.environment)
    with owned(settings.data_dir) as pids, child_watch() as watch, _stop_requests() as stopping:
        left = await pids.sweep(settings.stop_grace_seconds)
        if left:
            console.say(f"Ended what an earlier launcher had left: {', '.join(left)}.")
        check_ports(wanted_ports(settings), settings.bind_host)
        if settings.with_page:
            await check_node(settings)
        secrets = load_secrets(settings.data_dir / "secrets.json")
        around = Surroundings(
            *(console, pids, settings.data_dir / "logs", watch),
            start_timeout_seconds=settings.start_timeout_seconds,
            stop_grace_seconds=settings.stop_grace_seconds,
        )
        supervisor = Supervisor(around)
        try:
            await _until(stopping, _start(settings, secrets, supervisor, around))
            await stopping.wait()
        finally:
            console.say("Stopping … (Ctrl-C again: at once)")
            await supervisor.stop_all()
            console.say("Stopped.")


async def _start(settings: LauncherSettings, secrets: Secrets, supervisor: Supervisor, around: Surroundings) -> None:
    began = time.monotonic()
    console = around.console
    databases = plan_databases(settings, secrets)
    log_format = "console" if console.is_terminal else "auto"
    environments = Environments(settings, secrets, databases.addresses, log_format)
    console.say("Starting PostgreSQL and Redis …")
    await databases.start(supervisor)
    await databases.create(secrets)
    console.say("Migrating …")
    await migrate(migrations(settings, environments), around)
    for tier in tiers(settings, environments):
        console.say(f"Starting {', '.join(program.name for program in tier)} …")
        await supervisor.start_tier(tier)
    console.say(banner(settings, environments, time.monotonic() - began))


async def _until(stopping: asyncio.Event, starting: Coroutine[None, None, None]) -> None:
    """Wait for the start to end, or give it up when asked to stop."""
    start = asyncio.create_task(starting)
    stop = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
        if start.done():
            start.result()
    finally:
        for task in (start, stop):
            task.cancel()
        await asyncio.gather(start, stop, return_exceptions=True)


@contextmanager
def _stop_requests() -> Generator[asyncio.Event]:
    """Give the event that a stop signal sets; a second signal ends the launcher, and with it its children, at once."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    first = 0.0

    def request() -> None:
        nonlocal first
        if not stopping.is_set():
            first = loop.time()
            stopping.set()
        elif loop.time() - first > REPEATED_SIGNAL_SECONDS:
            os.kill(os.getpid(), signal.SIGKILL)

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, request)
    try:
        yield stopping
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
