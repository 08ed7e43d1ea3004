"""A cancelled run ends for everybody who reads it, whatever is down."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

import pytest

from contracts.redis_keys import CONTROL_CANCEL, control_channel
from tests.integration.chat_service.system import StreamedChat, System, User, message, running_system
from tests.support.ports import free_port
from tests.support.servers import eventually

LEASE_SECONDS = 0.5
END_SECONDS = 5.0
"""Well below what a reader with the default lease of 15 s would wait before it asks by itself."""


async def cancel(system: System, run_id: str, user: User | None = None) -> dict[str, object]:
    """Cancel the run; returns it."""
    response = await system.http.post(f"/runs/{run_id}/cancel", headers=(user or system.user()).headers)
    assert response.status_code == 200, response.text
    return response.json()


@asynccontextmanager
async def followed(systems: list[System]) -> AsyncGenerator[tuple[str, list[StreamedChat]]]:
    """Post a message and read its run on all instances; gives the run's id and the streams."""
    async with AsyncExitStack() as stack:
        first = systems[0].user().stream("threads.create", input=message("Hello"))
        chat = await stack.enter_async_context(first)
        await chat.read_until(b"stream_options")
        others = [await stack.enter_async_context(other.user().follow(chat.run_id)) for other in systems]
        for system in systems:
            hub = system.app.state.resources.relay.hub
            await eventually(lambda hub=hub: hub.channel_count == 1 or not hub.connected, what="reading")
        yield chat.run_id, [chat, *others]


async def read_to_the_end(chats: list[StreamedChat]) -> None:
    """Read all streams; they must end soon."""
    async with asyncio.timeout(END_SECONDS), asyncio.TaskGroup() as tasks:
        for chat in chats:
            tasks.create_task(chat.read())


async def test_readers_of_a_queued_run_end_at_once_on_all_instances(system: System) -> None:
    async with system.another_instance() as other, followed([system, other]) as (run_id, chats):
        assert (await cancel(system, run_id))["status"] == "cancelled"
        await read_to_the_end(chats)
        for chat in chats[1:]:
            assert chat.events[-1] == {"type": "run.cancelled", "run_id": run_id, "attempt": 0}


async def test_readers_of_a_run_with_a_dead_worker_end_at_once(database_url: str, redis_url: str) -> None:
    short = {"run_lease_seconds": LEASE_SECONDS}
    async with (
        running_system(database_url, redis_url, history=short) as system,
        followed([system]) as (run_id, chats),
    ):
        worker = await system.worker.claim()
        await worker.publish({"type": "progress_update", "text": "one"})
        await chats[1].read_until(b'"one"')
        await eventually(lambda: _is_cancelled(system, run_id), what="lease expired and cancelled")
        await read_to_the_end(chats)
        assert chats[1].events[-1]["type"] == "run.cancelled"


async def _is_cancelled(system: System, run_id: str) -> bool:
    return (await cancel(system, run_id))["status"] == "cancelled"


async def test_the_worker_of_a_run_is_told_each_time(system: System) -> None:
    async with followed([system]) as (run_id, chats):
        await system.worker.claim()
        async with system.redis.pubsub() as pubsub:
            await pubsub.subscribe(control_channel(run_id))
            await pubsub.get_message(timeout=5)
            first = await cancel(system, run_id)
            assert await cancel(system, run_id) == first
            assert first["status"] == "in_progress"
            for _ in range(2):
                heard = cast("dict[str, object]", await pubsub.get_message(timeout=5))
                assert heard["data"] == CONTROL_CANCEL
        await system.worker.finish(run_id)
        await read_to_the_end(chats)


async def test_without_redis_a_cancel_is_stored_and_this_instances_readers_end(database_url: str) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    async with (
        running_system(database_url, nowhere, run_lease_seconds=60.0) as system,
        followed([system]) as (run_id, chats),
    ):
        assert (await cancel(system, run_id))["status"] == "cancelled"
        await read_to_the_end(chats)
        assert chats[1].events[-1]["type"] == "run.cancelled"


@pytest.mark.parametrize(
    ("setting", "code"), [("run_queue_limit_per_user", "too_many_runs"), ("run_queue_limit", "run_queue_full")]
)
async def test_too_many_runs_are_refused_before_anything_is_stored(
    database_url: str, redis_url: str, setting: str, code: str
) -> None:
    async with running_system(database_url, redis_url, history={setting: 1}) as system:
        user = system.user()
        async with user.stream("threads.create", input=message("One")) as chat:
            await chat.read_until(b"stream_options")
            thread_id = chat.events[0]["thread"]["id"]
        for kind, target in (("threads.create", {}), ("threads.add_user_message", {"thread_id": thread_id})):
            refused = await user.post(kind, input=message("Two"), **target)
            assert (refused.status_code, refused.json()["code"]) == (429, code)
            assert int(refused.headers["retry-after"]) >= 1
        assert len((await user.post("threads.list")).json()["data"]) == 1
        assert len((await user.post("items.list", thread_id=thread_id)).json()["data"]) == 1
