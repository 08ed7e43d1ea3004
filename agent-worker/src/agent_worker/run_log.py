"""The events of one attempt on their way to the run's event log: framed, numbered, and coalesced until they are sent.

Entry ids are `<attempt>-<seq>`, chosen by the worker. Redis refuses an id that is not above the newest one, so an older
attempt cannot write after a newer one has: that is the fence. A call that is repeated because its answer was lost finds
its own entries and skips them.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, Self

from agent_worker import events
from contracts.frames import Cursor, chatkit_frame, run_frame
from contracts.redis_keys import EVENT_FIELD, events_key, live_channel
from contracts.runs import RunEvent

APPEND = """
local attempt, seq = ARGV[1], tonumber(ARGV[2])
for i = 6, #ARGV do
  local id = attempt .. '-' .. seq
  local added = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], id, ARGV[5], ARGV[i])
  if type(added) == 'table' and added.err then
    if not string.find(added.err, 'equal or smaller', 1, true) then return added end
    local info = redis.call('XINFO', 'STREAM', KEYS[1])
    for j = 1, #info, 2 do
      if info[j] == 'last-generated-id' and tonumber(string.match(info[j + 1], '^%d+')) > tonumber(attempt) then
        return 0
      end
    end
  else
    redis.call('PUBLISH', KEYS[2], ARGV[i])
  end
  seq = seq + 1
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""
"""Keys: the run's log and its live channel. Arguments: attempt, seq of the first frame, seconds the log shall live,
events it may hold, name of the field, frames. Returns 0 if a newer attempt owns the log; without frames, it only lets
the log live on."""

Arguments = list[str | int | bytes]
"""Keys and arguments of one call of `APPEND`."""


class Writer(Protocol):
    """What takes a log's calls of `APPEND` when they are due."""

    def write_at_once(self, run_log: "RunLog") -> None:
        """Take the log's next call as soon as possible."""
        ...

    def write_text(self, run_log: "RunLog") -> None:
        """Take the log's next call at once if it has not been written for one interval, else at the interval's end."""
        ...


class RunLog:
    """What one attempt has to say, in order, without ever making the model wait for Redis.

    While Redis is away, what is to be written waits here (text in one piece) and goes out when it is back. As a context
    manager, it drops at the end what could not be written.
    """

    def __init__(
        self,
        writer: Writer,
        run_id: str,
        attempt: int,
        *,
        ttl_seconds: int,
        ttl_after_end_seconds: int,
        max_events: int,
        on_fenced: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._attempt = attempt
        self._keys = (events_key(run_id), live_channel(run_id))
        self._ttl_seconds = ttl_seconds
        self._ttl_after_end_seconds = ttl_after_end_seconds
        self._max_events = max_events
        self._on_fenced = on_fenced
        self._next_seq = 1
        self._frames: list[bytes] = []
        self._in_flight = 0
        self._text: list[str] = []
        self._text_item = ""
        self._text_is_due = False
        self._is_closed = False
        self._was_quiet = False
        self._keeps_alive = False
        self._owns_log = asyncio.Event()
        self._is_written = asyncio.Event()
        self._is_written.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def append(self, *chatkit_events: bytes) -> None:
        """Queue ChatKit events (JSON, one line each) behind everything before them."""
        self._close_text()
        for event in chatkit_events:
            self._frames.append(chatkit_frame(self._next_cursor(), event))
        self._queued(at_once=True)

    def append_run_event(self, event: RunEvent) -> None:
        """Queue an event about the run itself; a terminal one also limits what is left of the log's life."""
        self._close_text()
        self._frames.append(run_frame(self._next_cursor(), event.model_dump_json(exclude_none=True).encode()))
        if event.is_terminal:
            self._ttl_seconds = self._ttl_after_end_seconds
        self._queued(at_once=True)

    def append_text(self, item_id: str, delta: str) -> None:
        """Queue a piece of an assistant message's text."""
        if item_id != self._text_item:
            self._close_text()
            self._text_item = item_id
        self._text.append(delta)
        if not self._text_is_due:
            self._text_is_due = True
            self._queued(at_once=False)

    def keep_alive(self) -> None:
        """Let the log of a quiet run live on; call it more often than the log would expire."""
        if self._was_quiet and not self._frames:
            self._keeps_alive = True
            self._writer.write_at_once(self)
        self._was_quiet = True

    async def drain(self, timeout_seconds: float) -> bool:
        """Wait until everything is written; tell whether it was, within the time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._is_written.wait()
        return self._is_written.is_set()

    async def wait_for_fence(self) -> None:
        """Wait until this attempt has written something: from then on no older one can."""
        await self._owns_log.wait()

    def next_call(self) -> Arguments | None:
        """Return the keys and arguments of the call that is due, or None if nothing is to be written.

        The writer answers with `accept` or `refuse`, or asks again: the same call may be made twice.
        """
        self._text_is_due = False
        if self._is_closed:
            return None
        if not self._in_flight:
            self._close_text()
        self._in_flight = len(self._frames)
        if not (self._frames or self._keeps_alive):
            return None
        first = self._next_seq - len(self._frames)
        return [*self._keys, self._attempt, first, self._ttl_seconds, self._max_events, EVENT_FIELD, *self._frames]

    def accept(self) -> None:
        """Note that the last call was carried out. What was queued meanwhile stays."""
        self._owns_log.set()
        del self._frames[: self._in_flight]
        self._in_flight = 0
        self._was_quiet = self._keeps_alive = False
        if not self._frames and not self._text:
            self._is_written.set()

    def refuse(self) -> None:
        """Note that a newer attempt owns the log: nothing more is written."""
        self._close()
        self._on_fenced()

    def _close(self) -> None:
        self._is_closed = True
        self._frames.clear()
        self._text.clear()

    def _next_cursor(self) -> Cursor:
        cursor = Cursor(self._attempt, self._next_seq)
        self._next_seq += 1
        return cursor

    def _close_text(self) -> None:
        """Turn the collected text into one frame."""
        if self._text:
            delta = "".join(self._text)
            self._text.clear()
            self._frames.append(chatkit_frame(self._next_cursor(), events.text_delta(self._text_item, delta)))
        self._text_item = ""

    def _queued(self, *, at_once: bool) -> None:
        if self._is_closed:
            return
        self._is_written.clear()
        if at_once:
            self._writer.write_at_once(self)
        else:
            self._writer.write_text(self)
