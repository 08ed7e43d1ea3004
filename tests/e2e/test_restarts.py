"""What is acknowledged is stored, whatever ends: all of it, the launcher, or the only worker."""

import os
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


async def test_a_killed_worker_is_replaced_and_its_run_goes_on(tmp_path: Path) -> None:
    async with (
        running_system(tmp_path / "data", RUN_LEASE_SECONDS="3") as system,
        system.client(USER) as http,
        ChatKitClient(http, USER).say("/words 300") as answer,
    ):
        await answer.until(lambda answer: len(answer.delta_times) > 3)
        os.kill(system.pid("agent-worker-1"), signal.SIGKILL)
        await answer.to_the_end()

        expected = " ".join(str(number) for number in range(1, 301))
        assert answer.text == expected
        thread = await ChatKitClient(http, USER).ask("threads.get_by_id", thread_id=answer.thread_id)
        items = thread["items"]["data"]
        assert [item["type"] for item in items] == ["user_message", "assistant_message"]
        assert items[1]["content"][0]["text"] == expected
        assert {item["id"]: item for item in items} == answer.items
        run = (await http.get(f"/api/{USER}/runs/{answer.run_id}")).json()
        assert (run["status"], run["attempt"]) == ("completed", 2)


async def test_a_tool_acts_once_although_its_worker_was_killed(tmp_path: Path) -> None:
    async with (
        running_system(tmp_path / "data", RUN_LEASE_SECONDS="3") as system,
        system.client(USER) as http,
        ChatKitClient(http, USER).say("/add 40") as answer,
    ):
        await answer.until(lambda answer: len(answer.items) > 5)
        os.kill(system.pid("agent-worker-1"), signal.SIGKILL)
        await answer.to_the_end()
        assert answer.text == "I added 40 tasks."
        tasks = (await http.get(f"/api/{USER}/tasks?limit=100")).json()["data"]
        assert sorted(task["title"] for task in tasks) == sorted(f"task {number}" for number in range(1, 41))
