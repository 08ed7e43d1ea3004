"""How long it takes until an answer goes on after one process was killed: measured for each, with default settings."""

import asyncio
import random
import signal
import statistics
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx

from launcher.ports import LOOPBACK
from tests.faults.cancelling import MODEL_APIS, measure_cancels
from tests.faults.client import Sent, Tab
from tests.faults.conversations import client_of
from tests.faults.product import Product, running_product
from tests.support.servers import eventually

MEASURE_SECONDS = 120.0
FIRST_EVENTS = 12
"""The process is killed once the client has seen so many."""

WORKERS = 2
"""As many as `make up` starts."""

WORKER = "agent-worker"
LONG_TEXT, SHORT_TEXT, CALLS = "/words 1500", "/words 400", "/add 60"
STRIKES: tuple[tuple[str, signal.Signals, str], ...] = (
    *((name, signal.SIGKILL, SHORT_TEXT) for name in ("gateway", "chat-service", "history-service")),
    ("task-tools", signal.SIGKILL, CALLS),
    *((name, signal.SIGKILL, SHORT_TEXT) for name in ("redis", "postgres", WORKER)),
    # It outlasts the time that a worker gives its runs to end before it releases them.
    (WORKER, signal.SIGTERM, LONG_TEXT),
)


@dataclass(frozen=True)
class Recovery:
    """One measurement. Times in seconds."""

    silence: float
    """The longest silence of the answer, as its client saw it."""
    next_attempt: float | None
    """From the signal to the first event of the next attempt, if one was needed."""
    ready: float
    """From the signal until every process is ready."""
    stream: str
    status: str


async def measure(product: Product, name: str, number: signal.Signals, text: str, user_id: str) -> Recovery:
    """Signal the process in the middle of an answer, and follow the answer to its end."""
    sent = Sent(text)
    async with client_of(product, user_id) as http, asyncio.timeout(MEASURE_SECONDS):
        tab = Tab(http, user_id, random.Random(0))  # noqa: S311 - pauses between tries
        speaking = asyncio.create_task(tab.say(sent, []))
        try:
            await eventually(lambda: len(times_of(sent)) >= FIRST_EVENTS, what="the answer has begun")
            name = await holder(product) if name == WORKER else name
            pid = product.system.pid(name)
            struck = time.time()
            product.signal(name, number)
            await eventually(
                lambda: product.system.pids.living(name) not in {None, pid}, seconds=60, what=f"a new {name}"
            )
            await product.healthy()
            ready = time.time() - struck
            if text == LONG_TEXT:
                await eventually(lambda: 2 in attempts_of(sent), seconds=60, what="the next attempt")
                await tab.cancel(sent)
            await speaking
        finally:
            speaking.cancel()
        status = (await http.get(f"/api/{user_id}/runs/{sent.run_id}")).json()["status"]
    silences = [after - before for before, after in pairwise(times_of(sent)) if after > struck]
    next_attempt = attempts_of(sent).get(2)
    return Recovery(
        silence=max(silences, default=0.0),
        next_attempt=None if next_attempt is None else next_attempt - struck,
        ready=ready,
        stream=sent.streams[0].end or "left",
        status=status,
    )


async def holder(product: Product) -> str:
    """Return the worker that executes the only run there is. Raises LookupError."""
    async with httpx.AsyncClient() as http:
        for number in range(WORKERS):
            url = f"http://{LOOPBACK}:{product.ports['WORKER_PORT'] + number}/metrics"
            if "threadkeep_worker_active_runs 1.0" in (await http.get(url)).text:
                return f"agent-worker-{number + 1}"
    raise LookupError("no worker executes a run")


def times_of(sent: Sent) -> list[float]:
    """Return when each event came, over all streams."""
    return [moment for stream in sent.streams for moment in stream.event_times]


def attempts_of(sent: Sent) -> dict[int, float]:
    """Return when the first event of each attempt came."""
    return {number: moment for stream in reversed(sent.streams) for number, moment in stream.attempt_times.items()}


async def measure_all(rounds: int, folder: Path) -> None:
    """Measure each process so often, and print the table."""
    sys.stdout.write(_row("process", "signal", "silence", "next attempt", "all ready", "stream", "run"))
    async with running_product(folder / "data", workers=WORKERS, proxied=False) as product:
        for index, (name, number, text) in enumerate(STRIKES):
            found = [await measure(product, name, number, text, f"user-{index}-{again}") for again in range(rounds)]
            attempts = [one.next_attempt for one in found if one.next_attempt is not None]
            columns = (_spread(one.silence for one in found), _spread(attempts), _spread(one.ready for one in found))
            ends = (", ".join(sorted({one.stream for one in found})), ", ".join(sorted({one.status for one in found})))
            sys.stdout.write(_row(name, number.name, *columns, *ends))
            sys.stdout.flush()
    for api in MODEL_APIS:
        closed = [1000 * seconds for seconds in await measure_cancels(api, rounds, folder)]
        spread = f"{statistics.median(closed):.0f} ({min(closed):.0f}-{max(closed):.0f}) ms"
        sys.stdout.write(f"from a cancel until the model's connection is closed ({api}): {spread}\n")


def _spread(values: Iterable[float]) -> str:
    found = list(values)
    return f"{statistics.median(found):.1f} ({min(found):.1f}-{max(found):.1f}) s" if found else "-"


def _row(*columns: str) -> str:
    return "".join(f"{column:<20}" for column in columns).rstrip() + "\n"
