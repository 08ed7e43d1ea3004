"""Nothing lost, nothing twice, everything in order, whatever the interleaving."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.frames import Cursor, frame_cursor
from tests.integration.chat_service.relay_parts import LIMITS, OneRun, RelayBench, delta, relay_bench
from tests.support.publisher import RunPublisher

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 12)),
        st.tuples(st.just("missed"), st.integers(1, 3)),
        st.tuples(st.just("attempt"), st.just(0)),
        st.tuples(st.just("yield"), st.integers(1, 20)),
        st.tuples(st.just("cut"), st.just(0)),
        st.tuples(st.just("join"), st.just(0)),
        st.tuples(st.just("leave"), st.just(0)),
    ),
    max_size=25,
)


@pytest.fixture
async def bench(redis_url: str) -> AsyncGenerator[RelayBench]:
    async with relay_bench(redis_url) as bench:
        yield bench


async def play(bench: RelayBench, steps: list[tuple[str, int]]) -> None:
    """Let a worker and readers do the steps; every reader must end up with all frames, byte for byte."""
    record = OneRun()
    worker = RunPublisher(bench.redis, record.run_id)
    clients = [bench.client(record)]
    number = 0
    for kind, count in steps:
        match kind:
            case "publish" | "missed":
                number += 1
                events = [delta(f"{number}.{part}") for part in range(count)]
                await worker.publish(*events, log_only=kind == "missed")
            case "attempt":
                worker.begin_attempt()
            case "cut":
                await bench.redis.client_kill_filter(_type="pubsub")
            case "join":
                clients.append(bench.client(record))
            case "leave":
                # The client comes back with the id of the last frame that it got.
                client = clients.pop(0)
                client.reader.stop()
                seen = await client.finish()
                last = [part for part in seen.split(b"\n\n") if part][-1:]
                cursor = frame_cursor(last[0]) if last else Cursor(0, 0)
                clients.append(resumed := bench.client(record, cursor=cursor))
                resumed.received += seen
            case _:
                for _ in range(count):
                    await asyncio.sleep(0)
    await worker.publish_run_event("run.completed")
    for client in clients:
        assert await client.finish() == worker.output


@given(steps=STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_reader_gets_all_frames_once_and_in_order(bench: RelayBench, steps: list[tuple[str, int]]) -> None:
    await play(bench, steps)


async def test_frames_from_before_during_and_after_the_subscription(bench: RelayBench) -> None:
    record = OneRun()
    worker = RunPublisher(bench.redis, record.run_id)
    await worker.publish(*[delta(f"before {number}") for number in range(40)])
    client = bench.client(record)
    for number in range(40):
        await worker.publish(delta(f"during {number}"))
    await bench.subscribed()
    await client.until(b"during 39")
    await worker.publish(delta("after"))
    await worker.publish_run_event("run.completed")
    assert await client.finish() == worker.output


async def test_a_gap_is_filled_from_the_log(bench: RelayBench) -> None:
    record = OneRun()
    worker = RunPublisher(bench.redis, record.run_id)
    client = bench.client(record)
    await worker.publish(delta("one"))
    await client.until(b"one")
    await worker.publish(delta("two"), delta("three"), log_only=True)
    assert b"two" not in client.received
    await worker.publish(delta("four"))
    await client.until(b"four")
    await worker.publish_run_event("run.completed")
    assert await client.finish() == worker.output


async def test_a_new_attempt_follows_all_of_the_old_one(bench: RelayBench) -> None:
    record = OneRun()
    worker = RunPublisher(bench.redis, record.run_id)
    client = bench.client(record)
    await worker.publish(delta("one"))
    await client.until(b"one")
    await worker.publish(delta("two"), log_only=True)
    worker.begin_attempt()
    await worker.publish(delta("three"))
    await worker.publish_run_event("run.completed")
    assert await client.finish() == worker.output


async def test_a_chat_does_not_get_events_about_the_run(bench: RelayBench) -> None:
    record = OneRun()
    worker = RunPublisher(bench.redis, record.run_id)
    client = bench.client(record, run_frames=False)
    await worker.publish_run_event("run.in_progress")
    await worker.publish(delta("one"))
    await worker.publish_run_event("run.completed")
    assert await client.finish() == worker.frames[1]


async def test_ten_readers_of_two_hubs_get_the_same_bytes(bench: RelayBench, redis_url: str) -> None:
    async with relay_bench(redis_url) as other:
        record = OneRun()
        worker = RunPublisher(bench.redis, record.run_id)
        clients = [bench.client(record, hub=(bench if number % 2 else other).hub) for number in range(10)]
        for number in range(50):
            await worker.publish(delta(str(number)))
        await worker.publish_run_event("run.completed")
        assert {await client.finish() for client in clients} == {worker.output}
    assert bench.hub.channel_count == 0


async def test_a_client_that_stops_reading_is_served_from_the_log(bench: RelayBench) -> None:
    record = OneRun()
    worker = RunPublisher(bench.redis, record.run_id)
    limits = LIMITS.__class__(queue_frames=4, keepalive_seconds=60.0, lease_seconds=60.0)
    client = bench.client(record, limits=limits)
    await worker.publish(delta("first"))
    await client.until(b"first")
    client.reading.clear()
    for number in range(100):
        await worker.publish(delta(str(number)))
    assert client.reader.waiting_frames <= 4
    client.reading.set()
    await worker.publish_run_event("run.completed")
    assert await client.finish() == worker.output


async def test_a_reader_that_leaves_ends_its_subscription(bench: RelayBench) -> None:
    record = OneRun()
    client = bench.client(record)
    await bench.subscribed(1)
    client.reader.stop()
    await client.finish()
    await bench.subscribed(0)
    assert record.asked == 0


async def test_a_burst_of_readers_waits_for_connections_to_the_log(bench: RelayBench) -> None:
    record = OneRun()
    worker = RunPublisher(bench.redis, record.run_id)
    await worker.publish(delta("one"))
    pages = await asyncio.gather(*(bench.log.page(record.run_id, Cursor(0, 0), seconds=5) for _ in range(100)))
    assert {len(page) for page in pages} == {1}
