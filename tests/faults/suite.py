"""One run of the suite: conversations and faults at once, then peace, then the checks."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.cases import cases
from tests.faults.checks import Findings, Held, check
from tests.faults.conversations import hold, look_again
from tests.faults.faults import FaultInjector, Journal
from tests.faults.options import Options
from tests.faults.product import Product, running_product
from tests.faults.records import Stored, all_ended, read_stored
from tests.faults.schedule import Fault, schedule
from tests.support.servers import eventually

LOOK_SECONDS = 60.0


@dataclass
class Outcome:
    """All that came of it."""

    options: Options
    journal: Journal
    held: list[Held] = field(default_factory=list[Held])
    stored: dict[str, Stored] = field(default_factory=dict[str, Stored])
    findings: dict[int, Findings] = field(default_factory=dict[int, Findings])
    """By number of the conversation."""
    troubles: list[str] = field(default_factory=list[str])
    """What is wrong with the product as a whole."""
    seconds: float = 0.0

    @property
    def broken(self) -> list[str]:
        """Every broken promise as a sentence."""
        each = [f"conversation {number}: {what}" for number, found in self.findings.items() for what in found.all()]
        return [*self.troubles, *each]


async def run_suite(options: Options, folder: Path, faults: Iterable[Fault] | None = None) -> Outcome:
    """Start a product in the folder, disturb it with the seed's faults or those given, and check what is left."""
    began = time.monotonic()
    lease = {} if options.lease_seconds is None else {"RUN_LEASE_SECONDS": f"{options.lease_seconds:g}"}
    async with running_product(folder / "data", workers=options.workers, proxied=True, **lease) as product:
        injector = FaultInjector(product, options.seed)
        outcome = Outcome(options, injector.journal)
        injecting = asyncio.create_task(injector.run(schedule(options) if faults is None else faults))
        try:
            await _hold_all(product, options, outcome)
        finally:
            injecting.cancel()
            with suppress(asyncio.CancelledError):
                await injecting
        await _settle(product, outcome)
    outcome.seconds = time.monotonic() - began
    return outcome


async def _hold_all(product: Product, options: Options, outcome: Outcome) -> None:
    """Hold the seed's conversations, so many at once."""
    waiting = cases(options)

    async def one_after_the_other() -> None:
        for case in waiting:
            outcome.held.append(await hold(product, case, options))

    async with asyncio.TaskGroup() as group:
        for _ in range(options.streams):
            group.create_task(one_after_the_other())


async def _settle(product: Product, outcome: Outcome) -> None:
    """Wait until all is quiet, then look at everything."""
    options = outcome.options
    try:
        await product.healthy()
        await eventually(lambda: all_ended(product.superuser_url), seconds=options.message_seconds, what="runs end")
    except AssertionError as error:
        outcome.troubles.append(f"stuck: after the faults, not all came to rest: {error}")
    for held in outcome.held:
        try:
            await look_again(product, held, LOOK_SECONDS)
        except TimeoutError:
            outcome.troubles.append(f"stuck: conversation {held.number} cannot be loaded")
    outcome.stored = await read_stored(product.superuser_url)
    for held in outcome.held:
        stored = outcome.stored.setdefault(held.user_id, Stored())
        outcome.findings[held.number] = check(held, stored, outcome.journal, options.stream_end_seconds)
