"""Many readers of one run, and one that does not read at all."""

import asyncio
import random

import pytest

from agent_worker import events
from chat_service.relay.limits import RelayLimits
from chat_service.relay.log import PAGE_ENTRIES
from contracts.ids import new_id
from tests.integration.chat_service.relay_parts import OneRun, delta, relay_bench
from tests.integration.chat_service.system import System, message
from tests.integration.chat_service.tab import Tab, snapshot
from tests.support.publisher import RunPublisher
from tests.support.servers import eventually

READERS = 10
TURNS = 25
QUEUE_FRAMES = 64


async def speak(system: System, run_id: str, turns: int) -> None:
    """Let the worker say one thing after the other; each is stored before it is shown as done."""
    worker = await system.worker.claim()
    for number in range(turns):
        item_id = new_id("msg")
        empty = events.assistant_item(item_id, system.worker.conversation_of(run_id), None)
        delta = events.text_delta(item_id, f"{number} ")
        for event in (events.item_added(empty), events.text_started(item_id), delta, delta):
            await worker.publish_encoded(event)
        await system.worker.say(run_id, item_id, f"{number} {number} ")
    await system.worker.finish(run_id)


@pytest.mark.parametrize("seed", [1, 2])
async def test_ten_readers_that_come_and_go_on_two_instances_see_the_same(system: System, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a seed that can be run again
    async with system.another_instance() as other:
        users = [system.user(), other.user()]
        async with users[0].stream("threads.create", input=message("Hello")) as chat:
            await chat.read_until(b"stream_options")
        thread_id = chat.events[0]["thread"]["id"]
        tabs = [Tab(users[number % 2], thread_id, chat.run_id) for number in range(READERS)]
        for tab in tabs:
            await tab.load()
        speaking = asyncio.create_task(speak(system, chat.run_id, TURNS))
        while not speaking.done():
            tab = chance.choice(tabs)
            if tab.is_following:
                await tab.leave()
            else:
                tab.follow(chance.choice(users))
            await asyncio.sleep(0)
        await speaking
        for tab in tabs:
            if not tab.is_following:
                tab.follow(chance.choice(users))
            await tab.read_to_the_end(10)
        assert len(tabs[0].items) == TURNS + 1
        fresh = await snapshot(users[0], thread_id)
        assert all(tab.items == fresh for tab in tabs)


async def test_what_a_client_that_does_not_read_can_hold_is_bounded(redis_url: str) -> None:
    limits = RelayLimits(queue_frames=QUEUE_FRAMES, keepalive_seconds=60.0, lease_seconds=60.0)
    async with relay_bench(redis_url, page_entries=PAGE_ENTRIES) as bench:
        worker = RunPublisher(bench.redis, OneRun().run_id)
        client = bench.client(OneRun(worker.run_id), limits=limits)
        await worker.publish(delta("first"))
        await client.until(b"first")
        client.reading.clear()
        most = 0
        for _ in range(40):
            await worker.publish(*[delta("x" * 1000)] * 50)
            await bench.redis.ping()
            most = max(most, client.reader.waiting_frames)
        await eventually(lambda: client.reader.waiting_frames == 0, what="queue given up")
        assert most <= QUEUE_FRAMES
        # One chunk is on its way, of what one queue or one page of the log may hold.
        client.reading.set()
        await worker.publish_run_event("run.completed")
        assert await client.finish() == worker.output
        largest = max(map(len, worker.frames))
        assert max(map(len, client.writes)) <= PAGE_ENTRIES * largest
