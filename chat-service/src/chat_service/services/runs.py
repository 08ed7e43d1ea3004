"""Starting runs: stored first, then a wake-up for the workers."""

import asyncio
from typing import cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.conversations import ConversationPut, JsonObject
from contracts.ids import new_id
from contracts.redis_keys import RUNS_READY
from contracts.runs import Run, RunCreate
from history_client import UserHistory

log = structlog.get_logger(__name__)

WAKE_SECONDS = 0.5
"""How long a message waits for its wake-up to be sent; it is stored by then."""

MAX_WAKEUPS = 10_000
"""Length of the list of wake-ups when no worker takes any: older ones are dropped, workers poll as well."""


class RunStarter:
    """Creates runs and wakes the workers."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def start(
        self,
        history: UserHistory,
        conversation_id: str,
        *,
        item: JsonObject | None = None,
        conversation: ConversationPut | None = None,
    ) -> Run:
        """Store a run with the user's message and a new conversation, if given, in one transaction."""
        wanted = RunCreate(id=new_id("run"), item=item, conversation=conversation)
        created = await history.create_run(conversation_id, wanted)
        log.info("run_created", run_id=created.run.id, conversation_id=conversation_id)
        await self._wake(created.run.id)
        return created.run

    async def _wake(self, run_id: str) -> None:
        try:
            async with asyncio.timeout(WAKE_SECONDS), self._redis.pipeline(transaction=False) as pipeline:
                pipeline.lpush(RUNS_READY, run_id)
                pipeline.ltrim(RUNS_READY, 0, MAX_WAKEUPS - 1)
                cast("list[object]", await pipeline.execute())
        except (RedisError, TimeoutError) as error:
            # Harmless: the workers poll as well.
            log.warning("wake_failed", run_id=run_id, error=type(error).__name__)
