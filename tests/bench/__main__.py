"""`make bench`: what a message costs, per process, on the whole product with the demo model.

Settings (environment): STREAMS (20) conversations at once, WORDS (200) tokens each, ROUNDS (3). Figures are medians
over the rounds with their spread. Compare figures of one run only: they depend on the machine.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.chatkit import ChatKitClient
from tests.support.system import System, running_system

PROCESSES = ("gateway", "chat-service", "history-service", "task-tools", "agent-worker-1", "redis")
TOKENS_PER_SECOND = 50
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Round:
    """One round: seconds to the first text of each stream, and CPU seconds by process."""

    first_text: list[float]
    cpu: dict[str, float]


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process so far (Linux: proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def talk(system: System, user_id: str, words: int) -> float:
    """Hold one conversation; returns the seconds to its first text."""
    async with system.client(user_id) as http:
        sent = time.monotonic()
        async with ChatKitClient(http, user_id).say(f"/words {words}") as answer:
            await answer.to_the_end()
    if answer.text.split()[-1] != str(words):
        raise AssertionError("the answer is not whole")
    return answer.delta_times[0] - sent


async def play(system: System, name: str, streams: int, words: int) -> Round:
    """Play one round of `streams` conversations at once."""
    before = {process: cpu_seconds(system.pid(process)) for process in PROCESSES}
    first_text = await asyncio.gather(*(talk(system, f"{name}-{number}", words) for number in range(streams)))
    cpu = {process: cpu_seconds(system.pid(process)) - before[process] for process in PROCESSES}
    return Round(first_text, cpu)


async def main(streams: int, words: int, rounds: int) -> None:
    """Warm up, play the rounds, print the table."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_system(
            Path(folder) / "data",
            DEMO_TOKENS_PER_SECOND=str(TOKENS_PER_SECOND),
            WORKER_CONCURRENCY=str(streams),
        ) as system:
            await play(system, "warm", streams, 20)
            alone = [await play(system, f"alone-{number}", 1, 20) for number in range(rounds)]
            played = [await play(system, f"round-{number}", streams, words) for number in range(rounds)]
    lines = [f"{streams} streams of {words} tokens at {TOKENS_PER_SECOND} tokens/s, {rounds} rounds", ""]
    lines.append(f"first text, alone    {_spread([first * 1000 for each in alone for first in each.first_text])} ms")
    lines.append(f"first text, together {_spread([first * 1000 for each in played for first in each.first_text])} ms")
    lines.append("")
    totals = [sum(each.cpu.values()) for each in played]
    for process in PROCESSES:
        micros = [each.cpu[process] / (streams * words) * 1e6 for each in played]
        share = statistics.median(each.cpu[process] / total for each, total in zip(played, totals, strict=True))
        lines.append(f"{process:<18} {_spread(micros)} µs of CPU a token  {share:>5.0%} of all")
    lines.append(f"{'all':<18} {_spread([total / (streams * words) * 1e6 for total in totals])} µs of CPU a token")
    sys.stdout.write("\n".join(lines) + "\n")


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):8.1f} ({min(values):.1f} to {max(values):.1f})"


def _number(name: str, default: int) -> int:
    return int(os.environ.get(name) or default)  # noqa: TID251 - the program's own settings


if __name__ == "__main__":
    asyncio.run(main(_number("STREAMS", 20), _number("WORDS", 200), _number("ROUNDS", 3)))
