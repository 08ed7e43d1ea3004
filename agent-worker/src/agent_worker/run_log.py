"""The run's event log in Redis: one Lua call appends and publishes, and refuses a worker that lost its lease.

Entry ids are `<attempt>-<seq>`, chosen by the worker. Redis refuses an id that is not above the newest one, so an older
attempt cannot write after a newer one has: that is the fence. A call that is repeated because its answer was lost finds
its own entries and skips them.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import cast

import structlog
from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from agent_worker import events
from contracts.frames import Cursor, chatkit_frame, frame_data, is_run_frame, run_frame
from contracts.redis_keys import EVENT_FIELD, events_key, live_channel
from contracts.runs import RunEvent

log = structlog.get_logger(__name__)

APPEND = """
local attempt, seq = ARGV[1], tonumber(ARGV[2])
for i = 5, #ARGV do
  local id = attempt .. '-' .. seq
  local added = redis.pcall('XADD', KEYS[1], id, ARGV[4], ARGV[i])
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

RETRY_SECONDS = 0.2
_ITEM_EVENT_PREFIXES = tuple(
    f'{{"type":"thread.item.{kind}"'.encode() for kind in ("added", "done", "removed", "replaced")
)


class FencedError(Exception):
    """A newer attempt has written to the log: this one must stop."""


class RunLog:
    """Writes the events of one attempt, in order, without ever making the model wait for Redis.

    Text deltas are coalesced: the first goes out at once, then at most one flush per interval. While Redis is away,
    what is to be written waits here (text in one piece) and goes out when it is back.
    """

    def __init__(
        self,
        redis: Redis,
        run_id: str,
        attempt: int,
        *,
        flush_seconds: float,
        ttl_seconds: int,
        on_fenced: Callable[[], None],
    ) -> None:
        self._on_fenced = on_fenced
        self._script: AsyncScript = redis.register_script(APPEND)
        self._redis = redis
        self._run_id = run_id
        self._attempt = attempt
        self._flush_seconds = flush_seconds
        self._ttl_seconds = ttl_seconds
        self._keys = [events_key(run_id), live_channel(run_id)]
        self._next_seq = 1
        self._frames: list[bytes] = []
        self._text: list[str] = []
        self._text_item = ""
        self._pending = asyncio.Event()
        self._pause_over = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def append(self, *chatkit_events: bytes) -> None:
        """Queue ChatKit events (JSON, one line each) behind everything before them."""
        self._close_text()
        for event in chatkit_events:
            self._frames.append(chatkit_frame(self._next_cursor(), event))
        self._wake(at_once=True)

    def append_run_event(self, event: RunEvent) -> None:
        """Queue an event about the run itself."""
        self._close_text()
        self._frames.append(run_frame(self._next_cursor(), event.model_dump_json(exclude_none=True).encode()))
        self._wake(at_once=True)

    def append_text(self, item_id: str, delta: str) -> None:
        """Queue a piece of an assistant message's text."""
        if item_id != self._text_item:
            self._close_text()
            self._text_item = item_id
        self._text.append(delta)
        self._wake(at_once=False)

    async def drain(self, timeout_seconds: float) -> bool:
        """Wait until everything is written; tell whether it was, within the time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._empty.wait()
        return self._empty.is_set()

    async def write_forever(self) -> None:
        """Send what is queued until cancelled. Calls `on_fenced` and ends when a newer attempt owns the log."""
        while True:
            await self._pending.wait()
            self._close_text()
            try:
                await self._send()
            except FencedError:
                self._on_fenced()
                return
            except RedisError as error:
                log.warning("run_log_write_failed", run_id=self._run_id, error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            await self._pause()

    async def expire(self, seconds: int) -> None:
        """Let the log live this much longer (and no more, if nothing follows)."""
        self._ttl_seconds = seconds
        with suppress(RedisError):
            await self._redis.expire(self._keys[0], seconds)

    async def _send(self) -> None:
        frames = self._frames.copy()
        first = self._next_seq - len(frames)
        accepted = await self._script(
            keys=self._keys, args=[self._attempt, first, self._ttl_seconds, EVENT_FIELD, *frames]
        )
        if not accepted:
            raise FencedError(self._run_id)
        # Dropped only now, so that a failed call is repeated; frames queued meanwhile stay.
        del self._frames[: len(frames)]
        if not self._frames and not self._text:
            self._pending.clear()
            self._empty.set()

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

    def _wake(self, *, at_once: bool) -> None:
        self._empty.clear()
        self._pending.set()
        if at_once:
            self._pause_over.set()

    async def _pause(self) -> None:
        """Let text collect for one interval; anything but text ends the pause."""
        if self._frames:
            return
        self._pause_over.clear()
        timer = asyncio.get_running_loop().call_later(self._flush_seconds, self._pause_over.set)
        await self._pause_over.wait()
        timer.cancel()


async def unfinished_items(redis: Redis, run_id: str) -> list[str]:
    """Return the items that earlier attempts began to show and neither finished nor withdrew, oldest first.

    Empty if the log is gone or Redis is away.
    """
    try:
        entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", await redis.xrange(events_key(run_id)))
    except RedisError as error:
        log.warning("run_log_read_failed", run_id=run_id, error=type(error).__name__)
        return []
    shown: dict[str, None] = {}
    for _, fields in entries:
        frame = fields[EVENT_FIELD.encode()]
        if is_run_frame(frame) or not frame_data(frame).startswith(_ITEM_EVENT_PREFIXES):
            continue
        event = json.loads(frame_data(frame))
        if event["type"] == "thread.item.added":
            shown[event["item"]["id"]] = None
        else:
            shown.pop(event.get("item_id") or event["item"]["id"], None)
    return list(shown)
