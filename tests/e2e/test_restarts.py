"""What is acknowledged is stored, whatever ends: all of it, or the launcher. Single processes: `tests.faults`."""

import signal
from pathlib import Path

from launcher.pidfiles import PidFiles
from launcher.processes import started_at
from tests.support.chatkit import ChatKitClient
from tests.support.servers import eventually
from tests.support.system import System, running_system

NAMES = ("postgres", "redis", "history-service", "task-tools", "chat-service", "agent-worker-1", "gateway")
USER = "user-1"


def living(pids: PidFiles) -> dict[str, int]:
    return {name: pid for name in NAMES if (pid := pids.living(name)) is not None}


async def all_gone(pids: dict[str, int]) -> None:
    await eventually(lambda: all(started_at(pid) is None for pid in pids.values()), what="no process is left")


async def thread_and_tasks(system: System, thread_id: str) -> tuple[object, object]:
    async with system.client(USER) as http:
        thread = await ChatKitClient(http, USER).ask("threads.get_by_id", thread_id=thread_id)
        return thread, (await http.get(f"/api/{USER}/tasks")).json()


async def test_a_restart_of_everything_loses_nothing_and_leaves_nobody(tmp_path: Path) -> None:
    secret = "a-secret-that-stays-the-same-over-all-restarts"
    async with running_system(tmp_path / "data", BETTER_AUTH_SECRET=secret) as system:
        async with system.client(USER) as http, ChatKitClient(http, USER).say("Add a task to buy milk") as answer:
            thread_id = (await answer.to_the_end()).thread_id
        before = await thread_and_tasks(system, thread_id)
        started = living(system.pids)
        assert set(started) == set(NAMES)
        system.process.send_signal(signal.SIGINT)
        assert await system.process.wait() == 0
        assert all(started_at(pid) is None for pid in started.values()), "Ctrl-C leaves no process"

    async with running_system(tmp_path / "data", BETTER_AUTH_SECRET=secret) as system:
        assert await thread_and_tasks(system, thread_id) == before
        started = living(system.pids)
        system.process.kill()
        await all_gone(started)

    async with running_system(tmp_path / "data", BETTER_AUTH_SECRET=secret) as system:
        assert await thread_and_tasks(system, thread_id) == before
