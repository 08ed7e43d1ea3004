"""A run's worker as far as Redis can tell: appends frames with the worker's own script."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from redis.asyncio import Redis

from agent_worker.run_log import APPEND
from contracts.frames import Cursor, chatkit_frame, run_frame
from contracts.redis_keys import EVENT_FIELD, events_key, live_channel
from contracts.runs import RunEvent, RunEventType

TTL_SECONDS = 600
MAX_EVENTS = 10_000


def to_json(event: Mapping[str, Any]) -> bytes:
    """Return an event as the worker writes it."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


class RunPublisher:
    """Publishes the events of one run; `frames` has all of them, as readers must get them."""

    def __init__(self, redis: Redis, run_id: str, attempt: int = 1, *, max_events: int = MAX_EVENTS) -> None:
        self.run_id = run_id
        self.frames: list[bytes] = []
        self._redis = redis
        self._script = redis.register_script(APPEND)
        self._cursor = Cursor(attempt, 0)
        self._max_events = max_events

    @property
    def attempt(self) -> int:
        """The attempt that publishes."""
        return self._cursor.attempt

    def begin_attempt(self) -> None:
        """Go on as the next attempt."""
        self._cursor = Cursor(self._cursor.attempt + 1, 0)

    def skip(self, count: int = 1) -> None:
        """Leave sequence numbers out, as if Redis had lost the frames."""
        self._cursor = Cursor(self._cursor.attempt, self._cursor.seq + count)

    async def publish(self, *events: Mapping[str, Any], log_only: bool = False) -> None:
        """Append ChatKit events; with `log_only`, readers miss them on the channel."""
        await self.publish_encoded(*map(to_json, events), log_only=log_only)

    async def publish_encoded(self, *events: bytes, log_only: bool = False) -> None:
        """Append ChatKit events as the worker has encoded them."""
        await self._append([chatkit_frame(self._next(), event) for event in events], log_only)

    async def publish_run_event(self, kind: RunEventType, *, log_only: bool = False, live_only: bool = False) -> None:
        """Append an event about the run itself; with `live_only`, it is on the channel but not in the log."""
        cursor = self._next()
        event = RunEvent(type=kind, run_id=self.run_id, attempt=cursor.attempt)
        frame = run_frame(cursor, event.model_dump_json(exclude_none=True).encode())
        if live_only:
            self.frames.append(frame)
            await self._redis.publish(live_channel(self.run_id), frame)
        else:
            await self._append([frame], log_only)

    async def publish_live_only(self, event: Mapping[str, Any]) -> None:
        """Publish a ChatKit event that is not in the log, as after the log was lost."""
        frame = chatkit_frame(self._next(), to_json(event))
        self.frames.append(frame)
        await self._redis.publish(live_channel(self.run_id), frame)

    @property
    def output(self) -> bytes:
        """All frames, as a reader of the run's events must get them."""
        return b"".join(self.frames)

    def _next(self) -> Cursor:
        self._cursor = Cursor(self._cursor.attempt, self._cursor.seq + 1)
        return self._cursor

    async def _append(self, frames: Sequence[bytes], log_only: bool) -> None:
        self.frames += frames
        if log_only:
            first = self._cursor.seq - len(frames) + 1
            for seq, frame in enumerate(frames, first):
                await self._redis.xadd(
                    events_key(self.run_id), {EVENT_FIELD: frame}, id=str(Cursor(self._cursor.attempt, seq))
                )
            return
        accepted = await self._script(
            keys=[events_key(self.run_id), live_channel(self.run_id)],
            args=[
                self._cursor.attempt,
                self._cursor.seq - len(frames) + 1,
                TTL_SECONDS,
                self._max_events,
                EVENT_FIELD,
                *frames,
            ],
        )
        assert accepted, "a newer attempt has written"
