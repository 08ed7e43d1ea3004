"""The event log over a real server: order, coalescing, the fence, and repeated calls."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from agent_worker.run_log import APPEND, RunLog, unfinished_items
from contracts.frames import frame_cursor, frame_data, is_run_frame
from contracts.ids import new_id
from contracts.redis_keys import EVENT_FIELD, events_key, live_channel
from contracts.runs import RunEvent


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
    redis: Redis, run_id: str, attempt: int, *, flush_seconds: float = 0.0, on_fenced: Callable[[], None] = lambda: None
) -> AsyncGenerator[RunLog]:
    log = RunLog(redis, run_id, attempt, flush_seconds=flush_seconds, ttl_seconds=60, on_fenced=on_fenced)
    task = asyncio.create_task(log.write_forever())
    yield log
    task.cancel()
    await asyncio.wait({task})


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
    assert 0 < await redis.ttl(events_key(run_id)) <= 60
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
        assert await script(keys=keys, args=[1, 1, 60, EVENT_FIELD, *frames]) == 1
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


async def test_what_a_dead_attempt_left_unfinished_is_found(redis: Redis, run_id: str) -> None:
    def event(kind: str, item_id: str) -> bytes:
        item = f'"item":{{"id":"{item_id}"}}' if kind in ("added", "done") else f'"item_id":"{item_id}"'
        return f'{{"type":"thread.item.{kind}",{item}}}'.encode()

    async with writing(redis, run_id, 1) as log:
        log.append(event("added", "a"), event("done", "a"), event("added", "b"), event("removed", "b"))
        log.append(event("added", "c"))
        log.append_text("c", "half a")
        assert await log.drain(5)
    assert await unfinished_items(redis, run_id) == ["c"]
    assert await unfinished_items(redis, new_id("run")) == []
