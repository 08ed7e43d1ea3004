"""A message goes all the way: stored, queued, answered by a worker, streamed."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from chatkit.types import ThreadStreamEvent
from pydantic import TypeAdapter

from chat_service.services.runs import MAX_WAKEUPS
from contracts.ids import new_id
from contracts.redis_keys import RUNS_READY
from contracts.runs import RunError
from tests.integration.chat_service.system import System, User, client_tool_call, message
from tests.support.golden import encode, golden, normalized, parse
from tests.support.publisher import RunPublisher
from tests.support.servers import eventually

EVENT: TypeAdapter[ThreadStreamEvent] = TypeAdapter(ThreadStreamEvent)


async def start_thread(system: System, user: User, text: str = "Hello") -> tuple[str, str]:
    """Create a thread and let the worker answer; returns the ids of thread and user message."""
    async with user.stream("threads.create", input=message(text)) as chat:
        await chat.read_until(b"stream_options")
        publisher = await system.worker.claim()
        await system.worker.say(publisher.run_id, new_id("msg"), "Hi there")
        await system.worker.finish(publisher.run_id)
        await chat.read()
    created, done, *_ = chat.events
    return created["thread"]["id"], done["item"]["id"]


async def test_a_first_message_makes_thread_message_and_run_and_streams_the_answer(system: System) -> None:
    user = system.user()
    async with user.stream("threads.create", input=message("Add a task")) as chat:
        assert chat.response.headers["content-type"].startswith("text/event-stream")
        assert chat.response.headers["cache-control"] == "no-cache, no-transform"
        await chat.read_until(b"stream_options")
        created, done, options = chat.events
        # All of it is stored before the first byte.
        thread_id = created["thread"]["id"]
        run = await system.history_of().get_run(chat.run_id)
        assert (run.status, run.conversation_id) == ("queued", thread_id)
        assert await system.history_of().get_item(thread_id, done["item"]["id"]) == done["item"] | {"attachments": []}
        assert options == {"type": "stream_options", "stream_options": {"allow_cancel": True}}
        assert await system.redis.lrange(RUNS_READY, 0, -1) == [chat.run_id.encode()]

        head = len(chat.received)
        worker = await system.worker.claim()
        assert worker.run_id == chat.run_id
        await worker.publish({"type": "progress_update", "text": "Thinking…"})
        await chat.read_until("Thinking…".encode())
        item = await system.worker.say(worker.run_id, new_id("msg"), "Done!")
        await system.worker.finish(worker.run_id)
        await chat.read()
    # The worker's bytes, without those about the run.
    assert chat.received[head:] == b"".join(worker.frames[1:-1])
    assert chat.events[-1] == {"type": "thread.item.done", "item": item}
    for event in chat.events:
        EVENT.validate_python(event)


async def test_times_are_utc_and_ids_are_time_ordered(system: System) -> None:
    async with system.user().stream("threads.create", input=message("Hello")) as chat:
        await chat.read_until(b"stream_options")
    created, done, _ = chat.events
    for text in (created["thread"]["created_at"], done["item"]["created_at"]):
        moment = datetime.fromisoformat(text)
        assert moment.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - moment) < timedelta(seconds=30)
    assert len(created["thread"]["id"]) == len("thr_") + 32
    assert len(done["item"]["id"]) == len("msg_") + 32


async def test_a_client_that_leaves_changes_nothing(system: System) -> None:
    async with system.user().stream("threads.create", input=message("Hello")) as chat:
        await chat.read_until(b"stream_options")
        worker = await system.worker.claim()
    await system.readers_left()
    run = await system.history_of().get_run(worker.run_id)
    assert (run.status, run.cancel_requested_at) == ("in_progress", None)
    items = await system.history_of().list_items(run.conversation_id, include_hidden=True)
    assert [item["type"] for item in items.data] == ["user_message"]


async def test_a_second_message_follows_in_the_same_thread(system: System) -> None:
    user = system.user()
    thread_id, _ = await start_thread(system, user)
    async with user.stream("threads.add_user_message", thread_id=thread_id, input=message("And again")) as chat:
        await chat.read_until(b"stream_options")
        assert [event["type"] for event in chat.events] == ["thread.item.done", "stream_options"]
        worker = await system.worker.claim()
        await system.worker.say(worker.run_id, new_id("msg"), "Again!")
        await system.worker.finish(worker.run_id)
        await chat.read()
    thread = (await user.post("threads.get_by_id", thread_id=thread_id)).json()
    texts = [item["content"][0]["text"] for item in thread["items"]["data"]]
    assert texts == ["Hello", "Hi there", "And again", "Again!"]


async def test_a_failed_run_ends_the_stream_with_its_error(system: System) -> None:
    async with system.user().stream("threads.create", input=message("Hello")) as chat:
        await chat.read_until(b"stream_options")
        worker = await system.worker.claim()
        error = RunError(code="model_failed", message="The model failed.", allow_retry=True)
        await worker.publish({"type": "error", "code": "custom", "message": error.message, "allow_retry": True})
        await system.worker.finish(worker.run_id, error=error)
        await chat.read()
    assert chat.events[-1]["message"] == "The model failed."


async def test_retry_after_item_removes_what_follows_and_runs_again(system: System) -> None:
    user = system.user()
    thread_id, message_id = await start_thread(system, user)
    async with user.stream("threads.retry_after_item", thread_id=thread_id, item_id=message_id) as chat:
        await chat.read_until(b"stream_options")
        worker = await system.worker.claim()
        assert worker.run_id == chat.run_id
        await system.worker.say(worker.run_id, new_id("msg"), "Better")
        await system.worker.finish(worker.run_id)
        await chat.read()
    items = (await user.post("items.list", thread_id=thread_id, order="asc")).json()["data"]
    assert [item["content"][0]["text"] for item in items] == ["Hello", "Better"]


async def test_a_client_tool_output_is_stored_and_answered(system: System) -> None:
    user = system.user()
    thread_id, _ = await start_thread(system, user)
    item = client_tool_call(thread_id)
    await system.history_of().put_item(thread_id, item["id"], item)
    async with user.stream("threads.add_client_tool_output", thread_id=thread_id, result={"picked": 3}) as chat:
        await chat.read_until(b"stream_options")
        assert (await system.history_of().get_run(chat.run_id)).status == "queued"
    stored = await system.history_of().get_item(thread_id, item["id"])
    assert (stored["status"], stored["output"]) == ("completed", {"picked": 3})


async def test_a_run_is_followed_and_resumed_by_cursor(system: System) -> None:
    user = system.user()
    async with user.stream("threads.create", input=message("Hello")) as chat:
        await chat.read_until(b"stream_options")
    worker = await system.worker.claim()
    await worker.publish({"type": "progress_update", "text": "one"})
    async with user.follow(worker.run_id) as first:
        await first.read_until(b'"one"')
    async with user.follow(worker.run_id, last_event_id="1-2") as second:
        assert second.run_id == worker.run_id
        await worker.publish({"type": "progress_update", "text": "two"})
        await system.worker.finish(worker.run_id)
        await second.read()
    assert bytes(first.received + second.received) == worker.output


async def test_a_finished_run_without_its_log_is_told_from_the_store(system: System) -> None:
    user = system.user()
    async with user.stream("threads.create", input=message("Hello")) as chat:
        await chat.read_until(b"stream_options")
    worker = await system.worker.claim()
    item = await system.worker.say(worker.run_id, new_id("msg"), "Done!")
    await system.worker.finish(worker.run_id)
    await system.redis.flushdb()
    async with asyncio.timeout(5), user.follow(worker.run_id) as followed:
        await followed.read()
    assert followed.events == [
        {"type": "thread.item.done", "item": item},
        {"type": "run.completed", "run_id": worker.run_id, "attempt": 1},
    ]


async def test_a_wake_up_that_fails_does_not_keep_a_message_from_being_accepted(system: System) -> None:
    await system.redis.set(RUNS_READY, "not a list")
    async with system.user().stream("threads.create", input=message("Hello")) as chat:
        await chat.read_until(b"stream_options")
        assert (await system.history_of().get_run(chat.run_id)).status == "queued"


async def test_wake_ups_that_no_worker_takes_do_not_pile_up(system: System) -> None:
    await system.redis.rpush(RUNS_READY, *["run_old"] * MAX_WAKEUPS)
    async with system.user().stream("threads.create", input=message("Hello")) as chat:
        await chat.read_until(b"stream_options")
    assert await system.redis.llen(RUNS_READY) == MAX_WAKEUPS
    assert await system.redis.lindex(RUNS_READY, 0) == chat.run_id.encode()


@pytest.mark.parametrize("count", [1, 30])
async def test_streams_end_together_with_their_own_runs(system: System, count: int) -> None:
    async def one(number: int) -> list[str]:
        # Nobody has more unfinished runs than the history-service allows.
        async with system.user(f"user-{number % 5}").stream("threads.create", input=message(f"Hello {number}")) as chat:
            await chat.read()
        return [event["item"]["content"][0]["text"] for event in chat.events if event["type"] == "thread.item.done"]

    async def answer() -> None:
        publisher = await system.worker.claim()
        history = system.history_of(system.worker.user_of(publisher.run_id))
        item = (await history.list_items(system.worker.conversation_of(publisher.run_id))).data[0]
        await system.worker.say(publisher.run_id, new_id("msg"), "Re: " + item["content"][0]["text"])
        await system.worker.finish(publisher.run_id)

    async with asyncio.TaskGroup() as tasks:
        chats = [tasks.create_task(one(number)) for number in range(count)]
        await eventually(lambda: _queued(system, count), what="all queued")
        for _ in range(count):
            await answer()
    assert [chat.result() for chat in chats] == [[f"Hello {n}", f"Re: Hello {n}"] for n in range(count)]


async def _queued(system: System, count: int) -> bool:
    return await system.redis.llen(RUNS_READY) == count


async def test_the_head_of_a_stream_is_the_golden_one(system: System) -> None:
    async with system.user().stream("threads.create", input=message("Hello")) as chat:
        await chat.read_until(b"stream_options")
    assert normalized(parse(bytes(chat.received))) == normalized(golden("user_message_head"))


@pytest.mark.parametrize("name", ["text_answer", "tool_call", "failed_run"])
async def test_golden_answers_come_through_byte_for_byte(system: System, name: str) -> None:
    async with system.user().stream("threads.create", input=message("Hello")) as chat:
        await chat.read_until(b"stream_options")
        head = len(chat.received)
        frames = encode(golden(name))
        worker = RunPublisher(system.redis, chat.run_id)
        for frame in golden(name):
            if "event" in frame:
                await worker.publish_run_event(frame["data"]["type"])
            else:
                await worker.publish(frame["data"])
        await chat.read()
    assert chat.received[head:] == b"".join(frame for frame in frames if b"\nevent: run\n" not in frame)
