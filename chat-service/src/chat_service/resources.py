"""What the service holds open while it runs."""

import hashlib
import hmac
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from chat_service.relay.hub import Hub
from chat_service.relay.limits import RelayLimits
from chat_service.relay.log import EventLog
from chat_service.relay.relay import Relay
from chat_service.relay.watch import RunWatch
from chat_service.responses import FrameStreamResponse
from chat_service.server import ThreadkeepServer
from chat_service.services.departures import Departures
from chat_service.services.runs import RunNotices
from chat_service.settings import Settings
from chat_service.store import HistoryStore
from contracts.frames import LOG_START, Cursor
from contracts.runs import Run
from history_client import HistoryClient, UserHistory
from service_kit.health import ReadinessCheck
from service_kit.internal_tokens import TokenSigner
from service_kit.redis_connections import notice_resets
from service_kit.service_client import open_service

SERVICE = "chat-service"

REDIS_CONNECT_SECONDS = 1.0
REDIS_ANSWER_SECONDS = 2.0
REDIS_RETRIES = 1
REDIS_CONNECTIONS = 32


@dataclass(frozen=True)
class Resources:
    """Shared by all requests."""

    history: HistoryClient
    relay: Relay
    server: ThreadkeepServer
    runs: RunNotices
    departures: Departures
    id_secret: bytes
    """What ids that an `Idempotency-Key` gives are made with; the same for all instances."""

    checks: dict[str, ReadinessCheck]
    """By name, what must answer for the service to be ready."""

    def stream(
        self,
        history: UserHistory,
        run: Run,
        *,
        head: bytes = b"",
        cursor: Cursor = LOG_START,
        run_frames: bool = False,
    ) -> FrameStreamResponse:
        """Answer with a run that `history`'s user may see; see `RunReader`."""
        reader = self.relay.reader(history, run, cursor=cursor, run_frames=run_frames)
        return FrameStreamResponse(reader, run, head=head, on_left=lambda: self.departures.note(history, run))


def create_redis(url: str) -> Redis:
    """Make the client for everything but pub/sub; its owner closes it."""
    # One retry, for connections that a restart has left stale; more would hold streams up while Redis is away.
    # A blocking pool: the plain one answers a burst of new streams with errors.
    pool = BlockingConnectionPool.from_url(
        url,
        socket_connect_timeout=REDIS_CONNECT_SECONDS,
        socket_timeout=REDIS_ANSWER_SECONDS,
        retry=Retry(NoBackoff(), REDIS_RETRIES),
        max_connections=REDIS_CONNECTIONS,
        timeout=REDIS_ANSWER_SECONDS,
    )
    notice_resets(pool)
    return Redis.from_pool(pool)


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncGenerator[Resources]:
    """Open everything; neither Redis nor the history-service has to be there yet."""
    if settings.internal_signing_key is None:
        raise ValueError("the chat-service needs INTERNAL_SIGNING_KEY")
    signing_key = settings.internal_signing_key.get_secret_value()
    signer = TokenSigner(SERVICE, signing_key)
    async with AsyncExitStack() as stack:
        history = await stack.enter_async_context(open_service(settings.history_url))
        redis = create_redis(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        hub = Hub(settings.redis_url)
        hub.start()
        stack.push_async_callback(hub.aclose)

        async def check_history() -> None:
            await history.ping("/readyz")

        async def check_redis() -> None:
            await redis.ping()
            if not hub.connected:
                raise RedisConnectionError("the relay is not connected")

        limits = RelayLimits(
            queue_frames=settings.relay_queue_frames,
            keepalive_seconds=settings.keepalive_seconds,
            lease_seconds=settings.run_lease_seconds,
        )
        client = HistoryClient(history, signer)
        watch = RunWatch(client, limits)
        stack.callback(watch.close)
        runs = RunNotices(redis, hub)
        grace_seconds = settings.disconnect_grace_seconds if settings.disconnect_policy == "cancel" else None
        departures = Departures(runs, grace_seconds)
        stack.push_async_callback(departures.aclose)
        yield Resources(
            history=client,
            relay=Relay(hub, EventLog(redis), watch, limits),
            server=ThreadkeepServer(HistoryStore(runs), runs),
            runs=runs,
            departures=departures,
            id_secret=hmac.digest(signing_key.encode(), b"ids of idempotency keys", hashlib.sha256),
            checks={"history-service": check_history, "redis": check_redis},
        )
