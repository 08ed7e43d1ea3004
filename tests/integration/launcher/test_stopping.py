"""However the launcher ends, nothing of it remains."""

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.launched import NAMES, gone, launched
from tests.support.servers import eventually


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_stop_signal_ends_everything_in_reverse_order(project: Path, number: signal.Signals) -> None:
    async with launched(project) as launcher:
        pids = await launcher.up()
        assert set(pids) == set(NAMES)

        assert await launcher.end(number) == 0

        assert gone(pids)
        assert launcher.output.rstrip().endswith("Stopped.")
        assert not list((project / ".data" / "pids").iterdir())


async def test_ctrl_c_before_anything_was_started_is_no_failure(project: Path) -> None:
    # What the launcher imports, interrupting it there.
    (project / "asyncpg.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    async with launched(project) as launcher, asyncio.timeout(20):
        assert await launcher.process.wait() == -signal.SIGINT
        assert not launcher.output


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the watchdog does it: see its own test")
async def test_kill_9_of_the_launcher_leaves_no_process(project: Path) -> None:
    async with launched(project) as launcher:
        pids = await launcher.up()
        await launcher.end(signal.SIGKILL)
        await eventually(lambda: gone(pids), seconds=15, what="all children are gone")

    # And the next start is not confused by what it finds.
    async with launched(project) as again:
        assert set(await again.up()) == set(NAMES)


async def test_a_program_that_ignores_sigterm_is_killed_with_its_children(project: Path) -> None:
    (project / "stubborn").touch()
    (project / "with-child").touch()
    async with launched(project, STOP_GRACE_SECONDS="0.2") as launcher:
        pids = await launcher.up()
        lines = [line for line in launcher.output.splitlines() if "| child " in line]
        children = {line: int(line.rpartition(" ")[2]) for line in lines}
        assert len(children) == 5

        assert await launcher.end(signal.SIGTERM) == 0
        assert gone(pids)
        await eventually(lambda: gone(children), seconds=5, what="the children's children are gone")


async def test_make_down_stops_the_launcher_and_waits(project: Path) -> None:
    async with launched(project) as launcher:
        pids = await launcher.up()
        async with launched(project, ("down",)) as down, asyncio.timeout(20):
            assert await down.process.wait() == 0
            assert "Stopped." in down.output
        assert gone(pids)
        assert await launcher.process.wait() == 0


async def test_make_down_says_when_nothing_runs(project: Path) -> None:
    async with launched(project, ("down",)) as down, asyncio.timeout(20):
        assert await down.process.wait() == 0
        assert "does not run on" in down.output


async def test_a_stop_signal_during_the_start_is_obeyed(project: Path) -> None:
    (project / "history_service" / "migrate.py").write_text("import time\nprint('slow', flush=True)\ntime.sleep(600)\n")
    async with launched(project) as launcher:
        await eventually(lambda: "| slow" in launcher.output, what="the migration runs")
        assert await launcher.end(signal.SIGINT) == 0
        assert not launcher.living()


async def test_a_stop_signal_that_arrives_twice_is_one_request(project: Path) -> None:
    async with launched(project) as launcher:
        pids = await launcher.up()
        launcher.process.send_signal(signal.SIGTERM)
        assert await launcher.end(signal.SIGINT) == 0
        assert gone(pids)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the watchdog does it: see its own test")
async def test_a_later_second_signal_ends_everything_at_once(project: Path) -> None:
    (project / "stubborn").touch()
    async with launched(project, STOP_GRACE_SECONDS="300") as launcher:
        pids = await launcher.up()

        def insist() -> bool:
            with suppress(ProcessLookupError):
                launcher.process.send_signal(signal.SIGINT)
            return launcher.process.returncode is not None

        await eventually(insist, what="the launcher gave up waiting")
        await eventually(lambda: gone(pids), seconds=10, what="all children are gone")
