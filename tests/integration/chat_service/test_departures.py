"""What becomes of a run whose client leaves, by the policy in force."""

import asyncio
from contextlib import suppress
from typing import Any

import httpx

from tests.integration.chat_service.system import System, message, running_system
from tests.support.ports import free_port
from tests.support.servers import eventually

GRACE_SECONDS = 0.3
POLICY: dict[str, Any] = {"disconnect_policy": "cancel", "disconnect_grace_seconds": GRACE_SECONDS}


async def begin_and_leave(system: System) -> str:
    """Post a message, see the answer begin, and go; returns the run's id."""
    async with system.user().stream("threads.create", input=message("Hello")) as chat:
        await chat.read_until(b"stream_options")
    await system.readers_left()
    return chat.run_id


async def is_cancelled(system: System, run_id: str) -> bool:
    """Tell whether somebody wants the run to end."""
    return (await system.history_of().get_run(run_id)).cancel_requested_at is not None


def departures(system: System) -> int:
    """Return how many departures are waited for."""
    return system.app.state.resources.departures.count


async def test_a_run_that_nobody_reads_any_more_is_cancelled(database_url: str, redis_url: str) -> None:
    async with running_system(database_url, redis_url, **POLICY) as system:
        run_id = await begin_and_leave(system)
        await eventually(lambda: is_cancelled(system, run_id), what="cancelled")
        assert (await system.history_of().get_run(run_id)).status == "cancelled"


async def test_without_the_policy_departures_are_not_noted(system: System) -> None:
    run_id = await begin_and_leave(system)
    assert departures(system) == 0
    assert not await is_cancelled(system, run_id)


async def test_a_reader_that_resumes_on_another_instance_keeps_the_run(database_url: str, redis_url: str) -> None:
    async with running_system(database_url, redis_url, **POLICY) as system, system.another_instance() as other:
        async with system.user().stream("threads.create", input=message("Hello")) as chat:
            await chat.read_until(b"stream_options")
        async with other.user().follow(chat.run_id) as resumed:
            await system.readers_left()
            await eventually(lambda: departures(system) == 0, what="grace period over")
            assert not await is_cancelled(system, chat.run_id)
            await system.worker.claim()
            await system.worker.finish(chat.run_id)
            await resumed.read()
        assert (await system.history_of().get_run(chat.run_id)).status == "completed"


async def test_a_shutdown_cancels_no_run(database_url: str, redis_url: str) -> None:
    async with running_system(database_url, redis_url, **POLICY) as system:
        async with system.another_instance() as other, httpx.AsyncClient(base_url=other.chat_url, timeout=20) as http:
            other.http = http
            left = await begin_and_leave(other)
            streaming = other.user().stream("threads.create", input=message("Hello"))
            chat = await streaming.__aenter__()
            await chat.read_until(b"stream_options")
        with suppress(httpx.HTTPError):
            await streaming.__aexit__(None, None, None)
        # Twice the grace period: nothing is left that could cancel.
        await asyncio.sleep(2 * GRACE_SECONDS)
        for run_id in (left, chat.run_id):
            assert not await is_cancelled(system, run_id)


async def test_without_redis_no_run_is_cancelled(database_url: str) -> None:
    async with running_system(database_url, f"redis://127.0.0.1:{free_port()}/0", **POLICY) as system:
        run_id = await begin_and_leave(system)
        await eventually(lambda: departures(system) == 0, what="grace period over")
        assert not await is_cancelled(system, run_id)
