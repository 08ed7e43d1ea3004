"""What a worker holds open: the history-service, Redis, the tool server's connections and the model."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from agents import Agent, Model
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from agent_worker.agent import create_agent
from agent_worker.log_writer import LogWriter, open_log_writer
from agent_worker.models.provider import open_model
from agent_worker.settings import Settings
from agent_worker.tools.pool import ToolPool
from history_client.worker import WorkerHistoryClient
from service_kit.internal_tokens import TokenSigner
from service_kit.redis_connections import notice_resets
from service_kit.service_client import open_service

REDIS_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True)
class Resources:
    """Open for as long as the worker runs."""

    history: WorkerHistoryClient
    redis: Redis
    wake_redis: Redis
    """For the blocking reads of wake-ups and cancellations: connections without a read timeout."""

    log_writer: LogWriter
    """Writes the event logs of all runs."""

    tools: ToolPool
    model: Model
    agent: Agent[Any]


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncGenerator[Resources]:
    """Open everything, and close it at the end. Nothing is asked yet: a dependency that is down is waited for later."""
    if settings.internal_signing_key is None:
        raise ValueError("INTERNAL_SIGNING_KEY is not set")
    signer = TokenSigner("agent-worker", settings.internal_signing_key.get_secret_value())
    no_retry = Retry(NoBackoff(), 0)
    redis = Redis.from_url(settings.redis_url, socket_timeout=REDIS_TIMEOUT_SECONDS, retry=no_retry)
    wake_redis = Redis.from_url(settings.redis_url, socket_timeout=None, retry=no_retry)
    for client in (redis, wake_redis):
        notice_resets(client.connection_pool)
    tools = ToolPool(
        f"{settings.tools_url}/mcp",
        size=settings.tool_connections,
        timeout_seconds=settings.tool_timeout_seconds,
        patience_seconds=settings.tool_patience_seconds,
    )
    async with (
        open_service(settings.history_url) as history,
        open_model(settings) as model,
        open_log_writer(redis, flush_seconds=settings.relay_flush_ms / 1000) as log_writer,
    ):
        try:
            agent = create_agent(model, tools)
            yield Resources(WorkerHistoryClient(history, signer), redis, wake_redis, log_writer, tools, model, agent)
        finally:
            await tools.close()
            await redis.aclose()
            await wake_redis.aclose()
