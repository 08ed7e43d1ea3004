"""Reading a run's event log: the Redis stream that its worker writes."""

import asyncio
from typing import NamedTuple, cast

from redis.asyncio import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from contracts.frames import Cursor, parse_cursor
from contracts.redis_keys import EVENT_FIELD, events_key

PAGE_ENTRIES = 256

_FIELD = EVENT_FIELD.encode()


class LoggedFrame(NamedTuple):
    """A frame and its place in the log."""

    cursor: Cursor
    frame: bytes


class EventLog:
    """Reads pages of bounded size, so that a long log never sits in memory as a whole."""

    def __init__(self, redis: Redis, *, page_entries: int = PAGE_ENTRIES) -> None:
        self._redis = redis
        self.page_entries = page_entries

    async def page(self, run_id: str, cursor: Cursor, *, seconds: float) -> list[LoggedFrame]:
        """Return frames in order, beginning with the one at `cursor` itself, within so many seconds.

        A log whose first frame is another one may have lost something. A page with fewer than `page_entries` frames is
        the last one. Raises RedisError.
        """
        try:
            async with asyncio.timeout(seconds):
                entries = cast(
                    "list[tuple[bytes, dict[bytes, bytes]]]",
                    await self._redis.xrange(events_key(run_id), min=str(cursor), count=self.page_entries),
                )
        except TimeoutError as error:
            raise RedisTimeoutError("no answer in time") from error
        return [LoggedFrame(parse_cursor(entry_id), fields[_FIELD]) for entry_id, fields in entries]
