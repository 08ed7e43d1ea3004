"""Starts programs tier by tier, and stops them in the reverse order."""

import asyncio
from collections.abc import Iterable

from launcher.supervised import Program, SupervisedProgram, Surroundings


class Supervisor:
    """All programs of one launcher."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._tiers: list[list[SupervisedProgram]] = []

    async def start_tier(self, programs: Iterable[Program]) -> None:
        """Start these programs together; returns when all are ready. Raises NotReadyError for the first that fails."""
        tier = [SupervisedProgram(program, self._around) for program in programs]
        self._tiers.append(tier)
        starts = [asyncio.create_task(each.start()) for each in tier]
        try:
            await asyncio.gather(*starts)
        finally:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)

    async def stop_all(self) -> None:
        """Stop the tiers, the last one first; within a tier all at once."""
        while self._tiers:
            await asyncio.gather(*(program.stop() for program in self._tiers.pop()))
