"""Every stream ends within twice the lease and 5 s of its run's end, whatever is down, and shows what is stored."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chat_service.relay.limits import RelayLimits
from chat_service.relay.synthetic import LOST_MESSAGE
from contracts.conversations import JsonObject
from contracts.frames import KEEP_ALIVE, Cursor
from contracts.redis_keys import LIVE_CHECK, events_key, live_channel
from contracts.runs import Run
from launcher.children import spawn, stop
from launcher.embedded_valkey import EmbeddedValkey
from tests.integration.chat_service.relay_parts import Client, OneRun, RelayBench, delta, relay_bench
from tests.integration.chat_service.test_relay_losses import TINY, added, done, events, item, text_of
from tests.support.ports import free_port
from tests.support.publisher import RunPublisher
from tests.support.servers import eventually

BOUND_SECONDS = TINY.lost_after_seconds
LONG = RelayLimits(queue_frames=256, keepalive_seconds=60.0, lease_seconds=600.0)
SLACK_SECONDS = 2.0
"""For a loaded machine, on top of a bound that is asserted."""


class Hanging(OneRun):
    """A history-service that takes questions and does not answer them: about the run, its items, or both."""

    hangs_for_run = False
    hangs_for_items = False

    async def run(self) -> Run:
        """Return the row, or hang."""
        if self.hangs_for_run:
            self.asked += 1
            await asyncio.Event().wait()
        return await super().run()

    async def items(self) -> list[JsonObject]:
        """Return the items, or hang."""
        if self.hangs_for_items:
            await asyncio.Event().wait()
        return await super().items()


@pytest.fixture
async def bench(redis_url: str) -> AsyncGenerator[RelayBench]:
    async with relay_bench(redis_url) as bench:
        yield bench


async def begun(bench: RelayBench, record: OneRun) -> tuple[RunPublisher, Client]:
    """Let a worker begin to speak and a client hear it."""
    worker = RunPublisher(bench.redis, record.run_id)
    client = bench.client(record, limits=TINY)
    await worker.publish(added("msg_1"), text_of("msg_1", "Hel"))
    await client.until(b"Hel")
    return worker, client


async def ended(client: Client) -> list[JsonObject]:
    """Wait for the stream's end, for as long as it may take; returns all events."""
    return events(await client.finish(BOUND_SECONDS + SLACK_SECONDS))


def is_lost(last: JsonObject) -> bool:
    """Tell whether a stream ended because nobody could tell how its run ended."""
    return (last["type"], last.get("message"), last.get("allow_retry")) == ("error", LOST_MESSAGE, True)


async def test_streams_whose_end_nobody_can_tell_or_show_are_given_up(bench: RelayBench) -> None:
    silent, half, holed = Hanging(), Hanging(), Hanging()
    silent.hangs_for_run = half.hangs_for_items = holed.hangs_for_run = holed.hangs_for_items = True
    _, first = await begun(bench, silent)
    _, second = await begun(bench, half)
    worker, third = await begun(bench, holed)
    half.end("completed")
    worker.skip()
    await worker.publish(done("msg_2", "two"))
    await worker.publish_run_event("run.completed")
    async with asyncio.timeout(BOUND_SECONDS + SLACK_SECONDS):
        for client in (first, second, third):
            assert is_lost((await ended(client))[-1])
    assert silent.asked > 1


async def test_an_end_with_unfinished_items_waits_for_the_store(bench: RelayBench) -> None:
    record = OneRun()
    worker, client = await begun(bench, record)
    record.is_down = True
    asked = record.asked
    await worker.publish_run_event("run.completed")
    await eventually(lambda: record.asked > asked, what="the store was asked in vain")
    assert not client.task.done()
    record.is_down = False
    assert [event["type"] for event in (await ended(client))[-2:]] == ["thread.item.removed", "run.completed"]


async def test_frames_pass_while_the_history_service_hangs(bench: RelayBench) -> None:
    record = Hanging()
    record.hangs_for_run = True
    worker = RunPublisher(bench.redis, record.run_id)
    client = bench.client(record, limits=LONG)
    await bench.subscribed()
    await bench.redis.publish(live_channel(record.run_id), LIVE_CHECK)
    await eventually(lambda: record.asked == 1, what="asked")
    await worker.publish(delta("one"))
    async with asyncio.timeout(LONG.answer_seconds / 2):
        await client.until(b"one")
    await worker.publish_run_event("run.completed")
    assert await client.finish() == worker.output


async def test_a_log_that_cannot_be_read_does_not_keep_the_end_from_being_told(bench: RelayBench) -> None:
    record = OneRun()
    _, client = await begun(bench, record)
    await bench.redis.set(events_key(record.run_id), "no stream")
    await bench.redis.client_kill_filter(_type="pubsub")
    await eventually(lambda: record.asked >= 2, what="asked about a run that goes on")
    assert not client.task.done()
    record.stored = [item("msg_1", "Hello")]
    record.end("completed")
    assert (await ended(client))[-2:] == [
        done("msg_1", "Hello"),
        {"type": "run.completed", "run_id": record.run_id, "attempt": 1},
    ]


async def test_a_run_deleted_in_mid_answer_ends_the_stream(bench: RelayBench) -> None:
    record = OneRun()
    _, client = await begun(bench, record)
    record.is_gone = True
    last = (await ended(client))[-1]
    assert (last["type"], last["allow_retry"]) == ("error", False)


async def test_a_run_that_a_check_finds_ended_ends_at_once(bench: RelayBench) -> None:
    record = OneRun()
    client = bench.client(record, limits=LONG)
    await bench.subscribed()
    await bench.redis.publish(live_channel(record.run_id), LIVE_CHECK)
    await eventually(lambda: record.asked == 1, what="asked")
    record.end("cancelled")
    await bench.redis.publish(live_channel(record.run_id), LIVE_CHECK)
    assert events(await client.finish(5))[-1]["type"] == "run.cancelled"


async def test_a_check_outruns_a_question_that_is_under_way(bench: RelayBench) -> None:
    record = Hanging()
    record.hangs_for_run = True
    client = bench.client(record, limits=LONG)
    await bench.subscribed()
    await bench.redis.publish(live_channel(record.run_id), LIVE_CHECK)
    await eventually(lambda: record.asked == 1, what="asked")
    record.hangs_for_run = False
    record.end("cancelled")
    await bench.redis.publish(live_channel(record.run_id), LIVE_CHECK)
    assert events(await client.finish(4))[-1]["type"] == "run.cancelled"


async def test_an_emptied_redis_and_a_cut_lose_nothing_of_a_run_that_goes_on(bench: RelayBench) -> None:
    record = OneRun()
    worker, client = await begun(bench, record)
    await bench.redis.flushall()
    await worker.publish(text_of("msg_1", "lo"))
    await client.until(b'"lo"')
    await bench.redis.client_kill_filter(_type="pubsub")
    await worker.publish(text_of("msg_1", "!"))
    await client.until(b'"!"')
    await worker.publish(done("msg_1", "Hello!"))
    await worker.publish_run_event("run.completed")
    assert (await client.finish()).replace(KEEP_ALIVE, b"") == worker.output


async def test_frames_lost_with_an_emptied_redis_are_made_up_for_by_the_finished_item(bench: RelayBench) -> None:
    record = OneRun()
    worker, client = await begun(bench, record)
    await worker.publish(text_of("msg_1", "l"), log_only=True)
    await bench.redis.flushall()
    await worker.publish(text_of("msg_1", "o"), done("msg_1", "Hello"))
    await worker.publish_run_event("run.completed")
    received = await ended(client)
    assert text_of("msg_1", "o") not in received
    assert received[-2:] == [done("msg_1", "Hello"), {"type": "run.completed", "run_id": record.run_id, "attempt": 1}]


async def test_a_log_that_was_trimmed_is_made_up_for_by_stored_items(bench: RelayBench) -> None:
    record = OneRun()
    worker = RunPublisher(bench.redis, record.run_id)
    await worker.publish(added("msg_1"), done("msg_1", "one"), *[delta(str(number)) for number in range(20)])
    record.stored = [item("msg_1", "one")]
    await bench.redis.xtrim(events_key(record.run_id), maxlen=10, approximate=False)
    clients = [bench.client(record, cursor=cursor) for cursor in (Cursor(0, 0), Cursor(1, 3), Cursor(1, 12))]
    await worker.publish_run_event("run.completed")
    fresh, behind, within = [events(await client.finish()) for client in clients]
    rest = events(b"".join(worker.frames[12:]))
    assert fresh == behind == [done("msg_1", "one"), *rest]
    assert within == rest


@asynccontextmanager
async def frozen_redis(folder: Path) -> AsyncGenerator[tuple[RelayBench, OneRun, Client]]:
    """Give a client in mid-answer whose Redis takes connections and does not answer."""
    server = EmbeddedValkey(folder / "valkey", free_port(), "secret", durable=False)
    server.prepare()
    with (folder / "log").open("ab") as output:
        process = await spawn(server.command(), output=output)
    try:
        await eventually(server.is_ready, what="valkey ready")
        async with relay_bench(server.url) as bench:
            record = OneRun()
            _, client = await begun(bench, record)
            process.send_signal(signal.SIGSTOP)
            try:
                yield bench, record, client
            finally:
                process.send_signal(signal.SIGCONT)
    finally:
        await stop(process, server.command().stop_signal, 10)


async def test_a_frozen_redis_does_not_keep_the_end_from_being_told(tmp_path: Path) -> None:
    async with frozen_redis(tmp_path) as (bench, record, client):
        late = [bench.client(record, limits=TINY) for _ in range(40)]
        record.stored = [item("msg_1", "Hello")]
        record.end("completed")
        async with asyncio.timeout(BOUND_SECONDS + SLACK_SECONDS):
            for reader in [client, *late]:
                assert (await ended(reader))[-2] == done("msg_1", "Hello")


async def test_with_redis_frozen_and_nobody_to_ask_streams_are_given_up(tmp_path: Path) -> None:
    async with frozen_redis(tmp_path) as (_, record, client):
        record.is_down = True
        assert is_lost((await ended(client))[-1])
