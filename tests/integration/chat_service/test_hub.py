"""The shared pub/sub connection: confirmed subscriptions, and a connection that dies without a word."""

import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from contracts.ids import new_id
from launcher.children import spawn, stop
from launcher.embedded_valkey import EmbeddedValkey
from launcher.ports import free_port
from tests.integration.chat_service.relay_parts import RelayBench, relay_bench
from tests.support.servers import eventually


class Ear:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.resyncs = 0

    def deliver(self, frame: bytes) -> None:
        """Remember."""
        self.heard.append(frame)

    def resync(self) -> None:
        """Count."""
        self.resyncs += 1


@pytest.fixture
async def bench(redis_url: str) -> AsyncGenerator[RelayBench]:
    async with relay_bench(redis_url) as bench:
        yield bench


async def test_a_subscription_is_confirmed_when_subscribe_returns(bench: RelayBench) -> None:
    for _ in range(50):
        channel, ear = new_id("run"), Ear()
        await bench.hub.subscribe(channel, ear)
        assert await bench.redis.publish(channel, b"one") == 1
        await eventually(lambda ear=ear: ear.heard == [b"one"], what="heard")
        bench.hub.unsubscribe(channel, ear)
    await bench.subscribed(0)


async def test_leaving_and_joining_at_once_waits_for_the_new_subscription(bench: RelayBench) -> None:
    channel = new_id("run")
    for _ in range(50):
        ear = Ear()
        await bench.hub.subscribe(channel, ear)
        bench.hub.unsubscribe(channel, ear)
        await bench.hub.subscribe(channel, ear)
        assert await bench.redis.publish(channel, b"one") == 1
        await eventually(lambda ear=ear: ear.heard == [b"one"], what="heard")
        bench.hub.unsubscribe(channel, ear)


async def test_listeners_of_a_channel_share_one_subscription(bench: RelayBench) -> None:
    channel, ears = new_id("run"), [Ear(), Ear(), Ear()]
    for ear in ears:
        await bench.hub.subscribe(channel, ear)
    bench.hub.unsubscribe(channel, ears[0])
    assert await bench.redis.publish(channel, b"one") == 1
    await eventually(lambda: ears[1].heard == ears[2].heard == [b"one"], what="heard")
    assert ears[0].heard == []


async def test_a_frozen_redis_is_noticed_and_come_back_to(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "valkey", free_port(), "secret", durable=False)
    server.prepare()
    with (tmp_path / "log").open("ab") as output:
        process = await spawn(server.command(), output=output)
    try:
        await eventually(server.is_ready, what="valkey ready")
        async with relay_bench(server.url, ping_seconds=0.2) as bench:
            channel, ear = new_id("run"), Ear()
            await bench.hub.subscribe(channel, ear)
            assert ear.resyncs == 1
            process.send_signal(signal.SIGSTOP)
            await eventually(lambda: not bench.hub.connected, seconds=5, what="noticed")
            assert ear.resyncs == 2
            process.send_signal(signal.SIGCONT)
            await eventually(lambda: bench.hub.connected and ear.resyncs == 3, seconds=10, what="back")
            await bench.redis.publish(channel, b"one")
            await eventually(lambda: ear.heard == [b"one"], what="heard")
    finally:
        await stop(process, server.command().stop_signal, 10)
