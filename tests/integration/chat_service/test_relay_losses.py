"""Every stream ends, and with everything that is stored, whatever Redis lost and whoever is down."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from chat_service.relay.limits import RelayLimits
from contracts.frames import KEEP_ALIVE, Cursor
from contracts.runs import RunError
from launcher.children import spawn, stop
from launcher.embedded_valkey import EmbeddedValkey
from tests.integration.chat_service.relay_parts import Client, OneRun, RelayBench, delta, relay_bench
from tests.support.ports import free_port
from tests.support.publisher import RunPublisher
from tests.support.servers import eventually

TINY = RelayLimits(queue_frames=256, keepalive_seconds=0.1, lease_seconds=0.3)
BOUND_SECONDS = TINY.lost_after_seconds


def item(item_id: str, text: str = "") -> dict[str, Any]:
    """Return an assistant's message."""
    content: list[dict[str, Any]] = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    return {
        "id": item_id,
        "thread_id": "thr_1",
        "created_at": "2026-11-01T10:00:00Z",
        "type": "assistant_message",
        "content": content,
    }


def added(item_id: str) -> dict[str, Any]:
    """An item begins."""
    return {"type": "thread.item.added", "item": item(item_id)}


def text_of(item_id: str, text: str) -> dict[str, Any]:
    """An item's text grows."""
    update = {"type": "assistant_message.content_part.text_delta", "content_index": 0, "delta": text}
    return {"type": "thread.item.updated", "item_id": item_id, "update": update}


def done(item_id: str, text: str) -> dict[str, Any]:
    """An item is finished."""
    return {"type": "thread.item.done", "item": item(item_id, text)}


def events(received: bytes) -> list[dict[str, Any]]:
    """Return the JSON of all frames."""
    lines = [line for line in received.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line.removeprefix(b"data: ")) for line in lines]


@pytest.fixture
async def bench(redis_url: str) -> AsyncGenerator[RelayBench]:
    async with relay_bench(redis_url) as bench:
        yield bench


async def test_a_lost_terminal_event_is_found_in_the_log(bench: RelayBench) -> None:
    record = OneRun()
    worker = RunPublisher(bench.redis, record.run_id)
    client = bench.client(record, limits=TINY)
    await worker.publish(delta("one"))
    await client.until(b"one")
    await worker.publish_run_event("run.completed", log_only=True)
    assert (await client.finish(BOUND_SECONDS)).replace(KEEP_ALIVE, b"") == worker.output


async def test_an_end_that_redis_never_heard_of_brings_the_stored_items(bench: RelayBench) -> None:
    record = OneRun()
    worker = RunPublisher(bench.redis, record.run_id)
    client = bench.client(record, limits=TINY)
    await worker.publish(added("msg_kept"), text_of("msg_kept", "Hel"), added("msg_dropped"))
    await client.until(b"msg_dropped")
    record.stored = [item("msg_kept", "Hello")]
    record.end("completed")
    received = events(await client.finish(BOUND_SECONDS))
    assert received[-3:] == [
        done("msg_kept", "Hello"),
        {"type": "thread.item.removed", "item_id": "msg_dropped"},
        {"type": "run.completed", "run_id": record.run_id, "attempt": 1},
    ]


async def test_a_failed_run_without_its_events_says_why(bench: RelayBench) -> None:
    record = OneRun()
    record.end("failed", error=RunError(code="max_attempts", message="It failed three times.", allow_retry=True))
    client = bench.client(record, limits=TINY, run_frames=False)
    assert events(await client.finish(BOUND_SECONDS)) == [
        {"type": "error", "code": "custom", "message": "It failed three times.", "allow_retry": True}
    ]


async def test_a_deleted_conversation_ends_the_stream(bench: RelayBench) -> None:
    record = OneRun()
    record.is_gone = True
    [event] = events(await bench.client(record, limits=TINY).finish(BOUND_SECONDS))
    assert event["type"] == "error"
    assert event["allow_retry"] is False


async def test_with_nobody_to_ask_a_silent_stream_ends_with_an_error(bench: RelayBench) -> None:
    record = OneRun()
    record.is_down = True
    loop = asyncio.get_running_loop()
    started = loop.time()
    [event] = events(await bench.client(record, limits=TINY).finish(BOUND_SECONDS + 2))
    assert event["type"] == "error"
    assert event["allow_retry"] is True
    assert BOUND_SECONDS <= loop.time() - started < BOUND_SECONDS + 1.5


async def test_a_silent_run_that_goes_on_is_kept_alive(bench: RelayBench) -> None:
    record = OneRun()
    worker = RunPublisher(bench.redis, record.run_id)
    client = bench.client(record, limits=TINY)
    await eventually(lambda: client.received.count(KEEP_ALIVE) >= 3 and record.asked >= 2, what="kept alive")
    await worker.publish_run_event("run.completed")
    assert (await client.finish()).replace(KEEP_ALIVE, b"") == worker.output


@pytest.mark.parametrize(("attempt", "rereads"), [(0, False), (1, True)])
async def test_a_silent_run_is_looked_up_in_the_log_once_a_worker_has_had_it(
    bench: RelayBench, attempt: int, rereads: bool
) -> None:
    record = OneRun()
    record.row = record.row.model_copy(update={"attempt": attempt})
    client = bench.client(record, limits=TINY)

    def rereads_of_silence() -> float:
        return REGISTRY.get_sample_value("threadkeep_relay_rereads_total", {"reason": "silence"}) or 0

    before = rereads_of_silence()
    await eventually(lambda: record.asked >= 3, what="asked")
    assert (rereads_of_silence() > before) == rereads
    record.is_gone = True
    await client.finish(BOUND_SECONDS)


async def test_an_emptied_redis_does_not_disturb_a_reader(bench: RelayBench) -> None:
    record = OneRun()
    worker = RunPublisher(bench.redis, record.run_id)
    client = bench.client(record)
    await worker.publish(delta("one"))
    await client.until(b"one")
    await bench.redis.flushdb()
    await worker.publish(delta("two"))
    await worker.publish_run_event("run.completed")
    assert await client.finish() == worker.output


async def follow_a_loss(
    bench: RelayBench, worker: RunPublisher, record: OneRun, client: Client
) -> list[dict[str, Any]]:
    """Let the worker finish msg_2, whose beginning was lost, and do a whole msg_3; return what came of it."""
    await worker.publish(text_of("msg_2", "lost beginning"), done("msg_2", "two"))
    await worker.publish(added("msg_3"), text_of("msg_3", "three"), done("msg_3", "three"))
    await worker.publish_run_event("run.completed")
    return events(await client.finish())


def what_follows_a_loss(record: OneRun) -> list[dict[str, Any]]:
    """Return the events that a reader has of what `follow_a_loss` did."""
    return [
        done("msg_2", "two"),
        added("msg_3"),
        text_of("msg_3", "three"),
        done("msg_3", "three"),
        {"type": "run.completed", "run_id": record.run_id, "attempt": 1},
    ]


async def test_a_reader_that_comes_after_a_loss_gets_stored_items_and_no_holes(bench: RelayBench) -> None:
    record = OneRun()
    worker = RunPublisher(bench.redis, record.run_id)
    await worker.publish(added("msg_1"), done("msg_1", "one"), added("msg_2"))
    await bench.redis.flushdb()
    await worker.publish(text_of("msg_2", "middle"))
    record.stored = [item("msg_1", "one")]
    client = bench.client(record)
    await client.until(b"msg_1")
    received = await follow_a_loss(bench, worker, record, client)
    assert received == [done("msg_1", "one"), *what_follows_a_loss(record)]


async def test_a_gap_that_the_log_does_not_cover_is_filled_with_stored_items(bench: RelayBench) -> None:
    record = OneRun()
    worker = RunPublisher(bench.redis, record.run_id)
    client = bench.client(record)
    await worker.publish(delta("one"))
    await client.until(b"one")
    await bench.redis.flushdb()
    worker.skip(3)
    record.stored = [item("msg_1", "one")]
    await worker.publish_live_only(text_of("msg_2", "a hole before this"))
    await client.until(b"msg_1")
    received = await follow_a_loss(bench, worker, record, client)
    assert received[:4] == [delta("one"), done("msg_1", "one"), done("msg_2", "two"), added("msg_3")]


@pytest.mark.parametrize("comes", ["before", "after"])
async def test_a_hole_in_the_log_is_filled_with_stored_items(bench: RelayBench, comes: str) -> None:
    """Redis came back with older data, and the worker went on."""
    record = OneRun()
    worker = RunPublisher(bench.redis, record.run_id)
    client = bench.client(record) if comes == "before" else None
    await worker.publish(added("msg_1"), text_of("msg_1", "o"))
    if client is not None:
        await client.until(b'"o"')
    worker.skip(3)
    record.stored = [item("msg_1", "one")]
    await worker.publish(text_of("msg_2", "middle"))
    received = await follow_a_loss(bench, worker, record, client or bench.client(record))
    assert received == [
        added("msg_1"),
        text_of("msg_1", "o"),
        done("msg_1", "one"),
        *what_follows_a_loss(record),
    ]


async def test_a_newer_attempt_in_the_log_is_no_loss(bench: RelayBench) -> None:
    record = OneRun()
    record.is_down = True
    worker = RunPublisher(bench.redis, record.run_id)
    await worker.publish(delta("one"))
    worker.begin_attempt()
    await worker.publish(delta("two"))
    await worker.publish_run_event("run.completed")
    assert await bench.client(record).finish() == worker.output


async def test_nothing_follows_the_end(bench: RelayBench) -> None:
    """A correction that waited for Redis can come behind it."""
    record = OneRun()
    worker = RunPublisher(bench.redis, record.run_id)
    await worker.publish_run_event("run.completed")
    end = worker.output
    await worker.publish(added("msg_1"), done("msg_1", "one"))
    record.stored = [item("msg_1", "one")]
    assert await bench.client(record).finish() == end


async def test_a_finished_run_whose_log_is_gone_ends_at_once(bench: RelayBench) -> None:
    record = OneRun()
    record.end("cancelled")
    # The caller has just seen the run: no lease is waited for.
    client = bench.client(record, cursor=Cursor(1, 7), run=record.row)
    assert b'event: run\ndata: {"type":"run.cancelled"' in await client.finish(2)


@asynccontextmanager
async def started(server: EmbeddedValkey) -> AsyncGenerator[None]:
    """Run the server, whose address stays the same from start to start; its data does not."""
    server.prepare()
    with (server.data_dir / "server.log").open("ab") as output:
        process = await spawn(server.command(), output=output)
    try:
        await eventually(server.is_ready, what="valkey ready")
        yield
    finally:
        await stop(process, server.command().stop_signal, 10)


async def test_readers_survive_a_restart_of_redis(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "valkey", free_port(), "secret", durable=False)
    async with AsyncExitStack() as stack:
        async with started(server):
            bench = await stack.enter_async_context(relay_bench(server.url))
            record = OneRun()
            worker = RunPublisher(bench.redis, record.run_id)
            client = bench.client(record, limits=TINY)
            await worker.publish(delta("one"))
            await client.until(b"one")
        await eventually(lambda: not bench.hub.connected, what="hub noticed")
        await eventually(lambda: record.asked >= 2, what="asked the history-service")
        async with started(server):
            await eventually(lambda: bench.hub.connected, what="hub back")
            await bench.subscribed()
            await worker.publish(delta("two"))
            await worker.publish_run_event("run.completed")
            assert (await client.finish()).replace(KEEP_ALIVE, b"") == worker.output


async def test_a_run_that_ends_while_redis_is_down_is_shown_from_the_store(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "valkey", free_port(), "secret", durable=False)
    async with AsyncExitStack() as stack:
        async with started(server):
            bench = await stack.enter_async_context(relay_bench(server.url))
        record = OneRun()
        record.stored = [item("msg_1", "one")]
        record.end("completed")
        client = bench.client(record, limits=TINY, run_frames=False)
        received = (await client.finish(BOUND_SECONDS)).replace(KEEP_ALIVE, b"")
        assert events(received) == [done("msg_1", "one")]
