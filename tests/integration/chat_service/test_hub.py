"""The shared pub/sub connection: confirmed subscriptions, and a connection that dies without a word."""

import asyncio
import signal
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from chat_service.relay.hub import Hub
from contracts.ids import new_id
from launcher.children import spawn, stop
from launcher.embedded_valkey import EmbeddedValkey
from tests.integration.chat_service.relay_parts import RelayBench, relay_bench
from tests.support.ports import free_port
from tests.support.servers import eventually


class Ear:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.resyncs = 0

    def deliver(self, frame: bytes) -> None:
        """Remember."""
        self.heard.append(frame)

    def flush(self) -> None:
        """Nothing is kept back."""

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


async def test_a_connection_over_tls_is_taken_over_too(redis_url: str, tmp_path: Path) -> None:
    plain = urlsplit(redis_url)
    assert plain.hostname
    assert plain.port
    async with tls_proxy(self_signed(tmp_path), plain.hostname, plain.port) as port:
        netloc = plain.netloc.replace(f":{plain.port}", f":{port}")
        address = urlunsplit(plain._replace(scheme="rediss", netloc=netloc, query="ssl_cert_reqs=none"))
        async with relay_bench(redis_url) as bench:
            hub = Hub(address)
            hub.start()
            try:
                channel, ear = new_id("run"), Ear()
                await hub.subscribe(channel, ear)
                await eventually(lambda: ear.resyncs > 0, what="subscribed")
                await bench.redis.publish(channel, b"x" * 100_000)
                await eventually(lambda: ear.heard == [b"x" * 100_000], what="heard")
            finally:
                await hub.aclose()


def self_signed(folder: Path) -> ssl.SSLContext:
    """Return a server's context with a certificate of its own making."""
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .sign(key, None)
        .public_bytes(serialization.Encoding.PEM)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(certificate + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


@asynccontextmanager
async def tls_proxy(context: ssl.SSLContext, host: str, port: int) -> AsyncGenerator[int]:
    """Speak TLS in front of a server that does not; gives the port."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(pipe(reader, inner_writer), pipe(inner_reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


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
