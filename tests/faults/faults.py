"""Brings faults about, and keeps a journal of them."""

import asyncio
import random
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from tests.faults.product import CLIENT_EDGE, Product, signal_all
from tests.faults.schedule import Fault

_POLITE = {"postgres": signal.SIGINT}
_DELIVERY = frozenset({"gateway", "chat-service", CLIENT_EDGE, "gateway→chat-service"})
"""What every byte of a stream has to pass through: while it is frozen, nobody can be told anything."""


@dataclass
class Happening:
    """A fault as it was: from when to when, in seconds since the epoch."""

    fault: Fault
    began: float
    ended: float | None = None


@dataclass
class Journal:
    """All faults that have happened, in order."""

    happenings: list[Happening] = field(default_factory=list[Happening])
    missed: int = 0
    """Faults whose target was not there just then."""

    @property
    def first_loss_of_redis(self) -> float:
        """When Redis may first have lost what it held, in seconds since the epoch; infinite if it never did."""
        losses = (it.began for it in self.happenings if it.fault.target == "redis" and it.fault.kind != "freeze")
        return min(losses, default=float("inf"))

    def undeliverable(self, start: float, end: float) -> float:
        """Return for how long of this time nothing could be delivered, because what delivers stood still."""
        spans = sorted(
            (max(start, it.began), min(end, it.ended or end))
            for it in self.happenings
            if it.fault.target in _DELIVERY and it.fault.kind in {"freeze", "hold", "delay"}
        )
        total, reached = 0.0, start
        for begin, finish in spans:
            total += max(0.0, finish - max(begin, reached))
            reached = max(reached, finish)
        return total


class FaultInjector:
    """Injects faults into a product, one after the other; lasting ones overlap."""

    def __init__(self, product: Product, seed: int) -> None:
        self.journal = Journal()
        self._product = product
        self._chance = random.Random(f"{seed} connections")  # noqa: S311 - repeatable choices, not secrets

    async def run(self, faults: Iterable[Fault]) -> None:
        """Inject until cancelled or until there are no more; what lasts is ended then."""
        async with asyncio.TaskGroup() as lasting:
            for fault in faults:
                await asyncio.sleep(fault.pause)
                await self._inject(fault, lasting)

    async def _inject(self, fault: Fault, lasting: asyncio.TaskGroup) -> None:
        happening = Happening(fault, time.time())
        match fault.kind:
            case "freeze" | "delay" | "hold":
                pids = self._product.family(fault.target) if fault.kind == "freeze" else []
                if fault.kind == "freeze" and not pids:
                    self.journal.missed += 1
                    return
                lasting.create_task(self._last(happening, pids))
            case "flush":
                try:
                    async with asyncio.timeout(1.0):
                        await self._product.flush_redis()
                except (RedisError, OSError, TimeoutError):
                    self.journal.missed += 1
                    return
            case _:
                if not self._strike(fault):
                    self.journal.missed += 1
                    return
        self.journal.happenings.append(happening)

    def _strike(self, fault: Fault) -> bool:
        """Do what is over at once; tells whether there was anything to do it to."""
        if fault.kind == "cut":
            return self._product.proxies[fault.target].cut(fault.amount, self._chance) > 0
        if fault.kind == "terminate":
            return self._product.signal(fault.target, _POLITE.get(fault.target, signal.SIGTERM))
        return self._product.signal(fault.target, signal.SIGKILL)

    async def _last(self, happening: Happening, pids: list[int]) -> None:
        fault = happening.fault
        proxy = self._product.proxies.get(fault.target)
        try:
            if proxy is None:
                signal_all(pids, signal.SIGSTOP)
            elif fault.kind == "delay":
                proxy.delay_seconds = fault.amount
            else:
                proxy.hold()
            await asyncio.sleep(fault.seconds)
        finally:
            # The very processes that were stopped: children whose parent was killed meanwhile must go on, too.
            signal_all(pids, signal.SIGCONT)
            if proxy is not None:
                proxy.delay_seconds = 0.0
                proxy.release()
            happening.ended = time.time()
