"""The event log over a real server: order, coalescing, the fence, and repeated calls."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from agent_worker.log_writer import open_log_writer
from agent_worker.run_log import APPEND, RunLog, Writer
from agent_worker.takeover import earlier_frames, shown_items, take_over
from contracts.conversations import Conversation
from contracts.frames import frame_cursor, frame_data, is_run_frame
from contracts.ids import new_id
from contracts.redis_keys import EVENT_FIELD, events_key, live_channel
from contracts.runs import Claim, Run, RunEvent
from tests.support.publisher import RunPublisher
from tests.support.servers import eventually

TTL_SECONDS = 60
TTL_AFTER_END_SECONDS = 20


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def run_id() -> str:
    return new_id("run")


async def logged(redis: Redis, run_id: str) -> list[bytes]:
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", await redis.xrange(events_key(run_id)))
    frames = [fields[EVENT_FIELD.encode()] for _, fields in entries]
    assert [entry_id.decode() for entry_id, _ in entries] == [str(frame_cursor(frame)) for frame in frames]
    return frames


@asynccontextmanager
async def writing(
    redis: Redis,
    run_id: str,
    attempt: int,
    *,
    flush_seconds: float = 0.0,
    max_events: int = 10_000,
    on_fenced: Callable[[], None] = lambda: None,
) -> AsyncGenerator[RunLog]:
    async with open_log_writer(redis, flush_seconds=flush_seconds) as writer:
        with new_log(writer, run_id, attempt, max_events=max_events, on_fenced=on_fenced) as log:
            yield log


def new_log(
    writer: Writer,
    run_id: str,
    attempt: int = 1,
    *,
    max_events: int = 10_000,
    on_fenced: Callable[[], None] = lambda: None,
) -> RunLog:
    return RunLog(
        writer,
        run_id,
        attempt,
        ttl_seconds=TTL_SECONDS,
        ttl_after_end_seconds=TTL_AFTER_END_SECONDS,
        max_events=max_events,
        on_fenced=on_fenced,
    )


def text_of(frames: list[bytes]) -> str:
    updates = [json.loads(frame_data(frame)).get("update", {}) for frame in frames if not is_run_frame(frame)]
    return "".join(update.get("delta", "") for update in updates)


async def test_events_are_logged_and_published_in_order(redis: Redis, run_id: str) -> None:
    pubsub = redis.pubsub()
    await pubsub.subscribe(live_channel(run_id))
    await pubsub.get_message(timeout=5)
    async with writing(redis, run_id, 1) as log:
        log.append(b'{"type":"a"}')
        log.append_text("msg_1", "one ")
        log.append_text("msg_1", "two")
        log.append_run_event(RunEvent(type="run.completed", run_id=run_id, attempt=1))
        assert await log.drain(5)
    frames = await logged(redis, run_id)
    assert [str(frame_cursor(frame)) for frame in frames] == ["1-1", "1-2", "1-3"]
    assert text_of(frames) == "one two"
    assert is_run_frame(frames[-1])
    published = [cast("dict[str, Any]", await pubsub.get_message(timeout=5))["data"] for _ in frames]
    assert published == frames
    assert 0 < await redis.ttl(events_key(run_id)) <= TTL_AFTER_END_SECONDS
    await cast("Any", pubsub).aclose()


async def test_the_first_delta_goes_at_once_and_the_next_ones_together(redis: Redis, run_id: str) -> None:
    async with writing(redis, run_id, 1, flush_seconds=3600) as log:
        log.append_text("msg_1", "first")
        assert await log.drain(5)
        for word in (" second", " third"):
            log.append_text("msg_1", word)
        # Anything but text ends the pause of an hour.
        log.append(b'{"type":"done"}')
        assert await log.drain(5)
    frames = await logged(redis, run_id)
    assert len(frames) == 3
    assert text_of(frames) == "first second third"


async def test_an_older_attempt_cannot_write_after_a_newer_one(redis: Redis, run_id: str) -> None:
    fenced = asyncio.Event()
    async with writing(redis, run_id, 1, on_fenced=fenced.set) as zombie, writing(redis, run_id, 2) as newer:
        zombie.append(b'{"n":1}')
        assert await zombie.drain(5)
        newer.append(b'{"n":2}')
        assert await newer.drain(5)
        zombie.append(b'{"n":3}')
        await asyncio.wait_for(fenced.wait(), 5)
    assert [json.loads(frame_data(frame))["n"] for frame in await logged(redis, run_id)] == [1, 2]


async def test_a_repeated_call_changes_nothing(redis: Redis, run_id: str) -> None:
    script = redis.register_script(APPEND)
    keys = [events_key(run_id), live_channel(run_id)]
    for frames in (["one"], ["one", "two"], ["one", "two"]):
        assert await script(keys=keys, args=[1, 1, TTL_SECONDS, 100, EVENT_FIELD, *frames]) == 1
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", await redis.xrange(events_key(run_id)))
    assert [(entry_id, fields[b"f"]) for entry_id, fields in entries] == [(b"1-1", b"one"), (b"1-2", b"two")]


async def test_events_wait_while_redis_refuses(redis: Redis, run_id: str) -> None:
    # A key of another type makes every append fail, as an outage would, on a connection that works.
    await redis.set(events_key(run_id), "not a stream")
    async with writing(redis, run_id, 1) as log:
        log.append(b'{"n":1}')
        assert not await log.drain(0.05)
        await redis.delete(events_key(run_id))
        log.append(b'{"n":2}')
        assert await log.drain(5)
    assert [json.loads(frame_data(frame))["n"] for frame in await logged(redis, run_id)] == [1, 2]


async def test_the_fence_holds_once_something_is_written(redis: Redis, run_id: str) -> None:
    async with writing(redis, run_id, 2) as log:
        waiting = asyncio.create_task(log.wait_for_fence())
        await asyncio.sleep(0)
        assert not waiting.done()
        log.append(b'{"n":1}')
        await asyncio.wait_for(waiting, 5)
        assert len(await logged(redis, run_id)) == 1


async def test_a_log_is_bounded(redis: Redis, run_id: str) -> None:
    async with writing(redis, run_id, 1, max_events=100) as log:
        log.append(*(b'{"n":%d}' % number for number in range(1000)))
        assert await log.drain(5)
    frames = await logged(redis, run_id)
    # Redis trims whole nodes of its own size, 100 entries.
    assert 100 <= len(frames) <= 200
    assert json.loads(frame_data(frames[-1])) == {"n": 999}


async def test_a_quiet_log_lives_on(redis: Redis, run_id: str) -> None:
    async with writing(redis, run_id, 1) as log:
        log.append(b'{"n":1}')
        assert await log.drain(5)
        log.keep_alive()
        await redis.expire(events_key(run_id), 5)
        log.keep_alive()

        async def is_refreshed() -> bool:
            return await redis.ttl(events_key(run_id)) > 5

        await eventually(is_refreshed, what="the log lives on")
    assert len(await logged(redis, run_id)) == 1


async def test_logs_that_are_due_together_do_not_disturb_each_other(redis: Redis, run_id: str) -> None:
    broken, fenced = new_id("run"), new_id("run")
    await redis.set(events_key(broken), "not a stream")
    await redis.xadd(events_key(fenced), {EVENT_FIELD: "newer"}, id="2-1")
    refused = asyncio.Event()
    async with open_log_writer(redis, flush_seconds=3600) as writer:
        with (
            new_log(writer, broken) as first,
            new_log(writer, fenced, on_fenced=refused.set) as second,
            new_log(writer, run_id) as third,
        ):
            for log in (first, second, third):
                log.append(b'{"n":1}')
            assert await third.drain(5)
            assert refused.is_set()
            assert not await first.drain(0)
    assert len(await logged(redis, run_id)) == 1
    assert await redis.xlen(events_key(fenced)) == 1


async def test_what_earlier_attempts_have_shown_is_found(redis: Redis, run_id: str) -> None:
    def event(kind: str, item_id: str) -> bytes:
        item = f'"item":{{"id":"{item_id}"}}' if kind in ("added", "done") else f'"item_id":"{item_id}"'
        return f'{{"type":"thread.item.{kind}",{item}}}'.encode()

    async with writing(redis, run_id, 1) as log:
        log.append(event("added", "a"), event("done", "a"), event("added", "b"), event("removed", "b"))
        log.append(event("added", "c"))
        log.append_text("c", "half a")
        # As after the loss of the log's beginning: only an update tells of the item.
        log.append_text("d", "half a")
        assert await log.drain(5)
    async with writing(redis, run_id, 2) as log:
        log.append(event("added", "own"))
        assert await log.drain(5)
    shown = shown_items(await earlier_frames(redis, run_id, 2))
    assert list(shown.unfinished) == ["c", "d"]
    assert shown.finished == {"a"}


class HeldWriter:
    """Writes nothing: the test does it."""

    def write_at_once(self, run_log: RunLog) -> None:
        pass

    def write_text(self, run_log: RunLog) -> None:
        pass


def claim_of(run_id: str, attempt: int) -> Claim:
    now = datetime.now(UTC)
    user_id, thread_id = "alice", new_id("thr")
    run = Run(
        id=run_id, conversation_id=thread_id, user_id=user_id, status="in_progress", attempt=attempt, created_at=now
    )
    conversation = Conversation(id=thread_id, user_id=user_id, created_at=now, updated_at=now)
    return Claim(run=run, conversation=conversation, context=[], token="", lease_expires_at=now)


async def test_nothing_is_read_before_the_fence_holds(redis: Redis, run_id: str) -> None:
    with new_log(HeldWriter(), run_id, 2) as log:
        log.append(b'{"n":1}')
        taking_over = asyncio.create_task(take_over(claim_of(run_id, 2), log, redis, ()))
        await asyncio.wait({taking_over}, timeout=0.2)
        await RunPublisher(redis, run_id).publish({"type": "thread.item.added", "item": {"id": "late"}})
        assert log.next_call() is not None
        log.accept()
        await asyncio.wait_for(taking_over, 5)
        correction = log.next_call()
    assert correction is not None
    assert b'"type":"thread.item.removed","item_id":"late"' in cast("bytes", correction[-1])
