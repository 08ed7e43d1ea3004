"""`make faults`: run conversations while workers are killed, and count what was lost or doubled.

Settings (environment): RUNS (20) conversations in all, STREAMS (10) at once, KILLS (2) of a random worker, SEED
(printed; give it again to repeat the choices). Everything happens on this machine, in a temporary folder, and ends by
itself.
"""

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.chatkit import Answer, ChatKitClient
from tests.support.system import System, running_system

WORKERS = 2
RUN_BOUND_SECONDS = 180.0
PAUSE_SECONDS = (2.0, 5.0)


@dataclass
class Tally:
    """What came of the runs. Silences are the longest wait for an event in each stream, in seconds."""

    completed: int = 0
    retried: int = 0
    kills: int = 0
    losses: list[str] = field(default_factory=list[str])
    silences: list[float] = field(default_factory=list[float])


@dataclass(frozen=True)
class Case:
    """A message, the answer it must get, and the tasks that must exist after it."""

    message: str
    answer: str
    tasks: list[str]


def choose_case(chance: random.Random) -> Case:
    """Return one of three kinds of conversation."""
    match chance.randrange(3):
        case 0:
            count = chance.randint(50, 200)
            return Case(f"/words {count}", " ".join(str(number) for number in range(1, count + 1)), [])
        case 1:
            count = chance.randint(2, 10)
            titles = [f"task {number}" for number in range(1, count + 1)]
            return Case(f"/add {count}", f"I added {count} tasks.", titles)
        case _:
            title = f"buy item {chance.randrange(1000)}"
            return Case(f"Add a task to {title}", f"Done. I added “{title}” to your list.", [title])


async def converse(system: System, user_id: str, case: Case, tally: Tally) -> None:
    """Hold one conversation and compare everything that is left of it with what must be."""
    async with system.client(user_id) as http:
        chat = ChatKitClient(http, user_id)
        async with chat.say(case.message) as answer:
            tally.silences.append(await _follow(answer))
        run = (await http.get(f"/api/{user_id}/runs/{answer.run_id}")).json()
        thread = await chat.ask("items.list", thread_id=answer.thread_id, order="asc", limit=100)
        tasks = (await http.get(f"/api/{user_id}/tasks?limit=100")).json()["data"]
    tally.completed += run["status"] == "completed"
    tally.retried += run["attempt"] > 1
    found = {
        "status": run["status"] == "completed",
        "streamed text": answer.text == case.answer,
        "stored items": {item["id"]: item for item in thread["data"]} == answer.items,
        "tasks": sorted(task["title"] for task in tasks) == sorted(case.tasks),
    }
    tally.losses.extend(f"{case.message}: {what}" for what, holds in found.items() if not holds)


async def _follow(answer: Answer) -> float:
    """Read the stream to its end; returns its longest silence."""
    longest, last = 0.0, time.monotonic()
    async for _ in answer:
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest


async def kill_workers(system: System, chance: random.Random, kills: int, tally: Tally) -> None:
    """Kill a random worker every few seconds."""
    for _ in range(kills):
        await asyncio.sleep(chance.uniform(*PAUSE_SECONDS))
        name = f"agent-worker-{chance.randint(1, WORKERS)}"
        try:
            os.kill(system.pid(name), signal.SIGKILL)
        except LookupError:
            continue
        tally.kills += 1


async def main(runs: int, streams: int, kills: int, seed: int) -> int:
    """Run it all; returns the exit code."""
    chance = random.Random(seed)  # noqa: S311 - repeatable choices, not secrets
    tally = Tally()
    room = asyncio.Semaphore(streams)

    async def one(system: System, number: int, case: Case) -> None:
        async with room, asyncio.timeout(RUN_BOUND_SECONDS):
            await converse(system, f"user-{number}", case, tally)

    with tempfile.TemporaryDirectory() as folder:
        async with running_system(Path(folder) / "data", WORKERS=str(WORKERS)) as system, asyncio.TaskGroup() as group:
            group.create_task(kill_workers(system, chance, kills, tally))
            for number in range(runs):
                group.create_task(one(system, number, choose_case(chance)))
    report(tally, runs, seed)
    return 1 if tally.losses or tally.completed < runs else 0


def report(tally: Tally, runs: int, seed: int) -> None:
    """Print the table."""
    rows = {
        "seed": seed,
        "runs": f"{tally.completed} of {runs} completed",
        "workers killed": tally.kills,
        "runs that were retried": tally.retried,
        "lost or doubled": len(tally.losses),
        "longest silence": f"{max(tally.silences, default=0.0):.1f} s",
    }
    sys.stdout.write("".join(f"{name:<24}{value}\n" for name, value in rows.items()))
    sys.stdout.write("".join(f"  {loss}\n" for loss in tally.losses))


def _number(name: str, default: int) -> int:
    return int(os.environ.get(name) or default)  # noqa: TID251 - the program's own settings


if __name__ == "__main__":
    seed = _number("SEED", random.SystemRandom().randrange(10**6))
    sys.exit(asyncio.run(main(_number("RUNS", 20), _number("STREAMS", 10), _number("KILLS", 2), seed)))
