"""How streams end when something is wrong: never silently, never not at all."""

import asyncio

import httpx
import pytest

from contracts.ids import new_id
from contracts.redis_keys import EVENT_FIELD, events_key
from contracts.runs import RunError
from tests.integration.chat_service.system import System, User, events_of, message, running_system

LEASE_SECONDS = 0.4
BOUND_SECONDS = 2 * LEASE_SECONDS + 5


async def test_a_worker_that_ends_a_run_without_an_event_does_not_hang_the_chat(
    database_url: str, redis_url: str
) -> None:
    async with running_system(database_url, redis_url, run_lease_seconds=LEASE_SECONDS) as system:
        async with (
            asyncio.timeout(BOUND_SECONDS + 5),
            system.user().stream("threads.create", input=message("Hi")) as chat,
        ):
            await chat.read_until(b"stream_options")
            worker = await system.worker.claim()
            item = await system.worker.say(worker.run_id, new_id("msg"), "Hello!", publish=False)
            await system.worker.finish(worker.run_id, publish=False)
            async with asyncio.timeout(BOUND_SECONDS):
                await chat.read()
        assert chat.events[-1] == {"type": "thread.item.done", "item": item}


async def test_a_run_that_failed_without_an_event_says_why(database_url: str, redis_url: str) -> None:
    async with running_system(database_url, redis_url, run_lease_seconds=LEASE_SECONDS) as system:
        async with system.user().stream("threads.create", input=message("Hi")) as chat:
            await chat.read_until(b"stream_options")
            worker = await system.worker.claim()
            error = RunError(code="max_attempts", message="It failed too often.", allow_retry=True)
            await system.worker.finish(worker.run_id, error=error, publish=False)
            async with asyncio.timeout(BOUND_SECONDS):
                await chat.read()
        expected = {"type": "error", "code": "custom", "message": error.message, "allow_retry": True}
        assert chat.events[-1] == expected


async def test_a_conversation_deleted_in_mid_answer_ends_the_chat(database_url: str, redis_url: str) -> None:
    async with running_system(database_url, redis_url, run_lease_seconds=LEASE_SECONDS) as system:
        user = system.user()
        async with user.stream("threads.create", input=message("Hi")) as chat:
            await chat.read_until(b"stream_options")
            await user.post("threads.delete", thread_id=chat.events[0]["thread"]["id"])
            async with asyncio.timeout(BOUND_SECONDS):
                await chat.read()
        assert chat.events[-1]["type"] == "error"
        assert chat.events[-1]["allow_retry"] is False


async def test_stored_items_are_found_behind_a_queued_message(database_url: str, redis_url: str) -> None:
    async with running_system(database_url, redis_url, run_lease_seconds=LEASE_SECONDS) as system:
        user = system.user()
        async with user.stream("threads.create", input=message("One")) as first:
            await first.read_until(b"stream_options")
            worker = await system.worker.claim()
            thread_id = system.worker.conversation_of(worker.run_id)
            async with user.stream("threads.add_user_message", thread_id=thread_id, input=message("Two")) as second:
                await second.read_until(b"stream_options")
            said = [await system.worker.say(worker.run_id, new_id("msg"), t, publish=False) for t in ("a", "b")]
            await system.worker.finish(worker.run_id, publish=False)
            async with asyncio.timeout(BOUND_SECONDS):
                await first.read()
        assert [event["item"] for event in first.events[3:]] == said


async def test_an_error_after_the_first_byte_is_an_event(system: System) -> None:
    async with system.user().stream("threads.create", input=message("Hi")) as chat:
        await chat.read_until(b"stream_options")
        await system.redis.xadd(
            events_key(chat.run_id), {EVENT_FIELD: b"id: 1-1\nevent: run\ndata: nonsense\n\n"}, id="1-1"
        )
        await system.redis.client_kill_filter(_type="pubsub")
        async with asyncio.timeout(5):
            await chat.read()
    assert chat.events[-1]["type"] == "error"
    assert chat.events[-1]["allow_retry"] is True


async def test_a_shutdown_tells_the_client(database_url: str, redis_url: str) -> None:
    received = bytearray()
    streaming = asyncio.Event()

    async def chat_as(user: User) -> None:
        async with user.stream("threads.create", input=message("Hi")) as chat:
            await chat.read_until(b"stream_options")
            streaming.set()
            chat.received = received
            await chat.read()

    async with httpx.AsyncClient(timeout=20) as http:
        async with running_system(database_url, redis_url) as system:
            user = User("alice", http, system.senders.signer("gateway"))
            http.base_url = system.chat_url
            client = asyncio.create_task(chat_as(user))
            await streaming.wait()
        # Cut off behind the event: a client must not take the answer for complete.
        with pytest.raises(httpx.RemoteProtocolError):
            await client
    [event] = events_of(bytes(received))
    assert (event["type"], event["allow_retry"]) == ("error", True)
