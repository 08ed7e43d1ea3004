"""Starting and stopping runs: stored first, then a word to the workers."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from chat_service.relay.hub import Hub
from contracts.conversations import ConversationPut, JsonObject
from contracts.ids import new_id
from contracts.redis_keys import CONTROL_CANCEL, LIVE_CHECK, RUNS_READY, control_channel, live_channel
from contracts.runs import TERMINAL_STATUSES, Run, RunCreate, RunCreated
from history_client import UserHistory

log = structlog.get_logger(__name__)

NOTICE_SECONDS = 0.5
"""How long a request waits for its word to the workers to be sent; what it is about is stored by then."""

MAX_WAKEUPS = 10_000
"""Length of the list of wake-ups when no worker takes any: older ones are dropped, workers poll as well."""


class RunNotices:
    """Creates and cancels runs, and lets the workers know. Without Redis they find out by themselves, later."""

    def __init__(self, redis: Redis, hub: Hub) -> None:
        self._redis = redis
        self._hub = hub

    async def start(
        self,
        history: UserHistory,
        conversation_id: str,
        *,
        item: JsonObject | None = None,
        run_id: str | None = None,
        conversation: ConversationPut | None = None,
        retry_after: str | None = None,
    ) -> RunCreated:
        """Store a run, if given with the user's message and a new conversation, or in place of what followed one.

        With a `run_id` that is known already, nothing changes.
        """
        wanted = RunCreate(id=run_id or new_id("run"), item=item, conversation=conversation, retry_after=retry_after)
        created = await history.create_run(conversation_id, wanted)
        log.info("run_created", run_id=created.run.id, conversation_id=conversation_id)
        async with self._notice(created.run.id) as redis:
            if await redis.lpush(RUNS_READY, created.run.id) > MAX_WAKEUPS:
                await redis.ltrim(RUNS_READY, 0, MAX_WAKEUPS - 1)
        return created

    async def cancel(self, history: UserHistory, run_id: str) -> Run:
        """Store that the run shall end, and tell its worker, or its readers if it has ended by that."""
        run = await history.cancel_run(run_id)
        if run.status in TERMINAL_STATUSES:
            self._hub.tell(live_channel(run_id), LIVE_CHECK)
            async with self._notice(run_id) as redis:
                await redis.publish(live_channel(run_id), LIVE_CHECK)
        else:
            async with self._notice(run_id) as redis:
                await redis.publish(control_channel(run_id), CONTROL_CANCEL)
        return run

    async def oldest_active(self, history: UserHistory, conversation_id: str) -> Run | None:
        """Return the run that a page should follow: the conversation's first that has not ended."""
        runs = await history.list_runs(conversation_id, active=True, limit=1)
        return runs.data[0] if runs.data else None

    async def has_readers(self, run_id: str) -> bool:
        """Tell whether any instance has a reader of the run. Raises RedisError."""
        counts = cast("list[tuple[bytes, int]]", await self._redis.pubsub_numsub(live_channel(run_id)))
        return counts[0][1] > 0

    @asynccontextmanager
    async def _notice(self, run_id: str) -> AsyncGenerator[Redis]:
        """Let a word to the workers take no longer than it may; a failure is harmless: workers poll, and ask."""
        try:
            async with asyncio.timeout(NOTICE_SECONDS):
                yield self._redis
        except (RedisError, TimeoutError) as error:
            log.warning("run_notice_failed", run_id=run_id, error=type(error).__name__)
