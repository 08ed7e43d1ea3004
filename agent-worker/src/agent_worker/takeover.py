"""Taking over a run: its readers are brought from what dead attempts have shown to what is stored."""

import asyncio
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from agent_worker import events
from agent_worker.run_log import RunLog
from contracts.frames import frame_data, is_run_frame
from contracts.redis_keys import EVENT_FIELD, events_key
from contracts.runs import Claim, ContextMessage

log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.25
_ITEM_PREFIX = b'{"type":"thread.item.'


@dataclass
class ShownItems:
    """Items that attempts have shown, by id, in the order in which they appeared."""

    unfinished: dict[str, None] = field(default_factory=dict[str, None])
    finished: set[str] = field(default_factory=set[str])


def shown_items(frames: Iterable[bytes]) -> ShownItems:
    """Return what readers of these frames have seen. Withdrawn items count as never shown.

    An item may only be known from an update: the log's beginning may be lost.
    """
    shown = ShownItems()
    for frame in frames:
        data = frame_data(frame)
        if is_run_frame(frame) or not data.startswith(_ITEM_PREFIX):
            continue
        event = json.loads(data)
        match event["type"]:
            case "thread.item.updated":
                if event["item_id"] not in shown.finished:
                    shown.unfinished[event["item_id"]] = None
            case "thread.item.removed":
                shown.unfinished.pop(event["item_id"], None)
                shown.finished.discard(event["item_id"])
            case "thread.item.added":
                shown.unfinished[event["item"]["id"]] = None
            case _:
                shown.unfinished.pop(event["item"]["id"], None)
                shown.finished.add(event["item"]["id"])
    return shown


def corrections(shown: ShownItems, stored: Sequence[ContextMessage], thread_id: str) -> list[bytes]:
    """Return the events that bring readers to what the run has stored.

    What was not stored is withdrawn; what was stored but not shown to its end, because the worker died in between, is
    shown. A tool call without a result stays in progress: the attempt that takes over finishes it.
    """
    stored_ids = {message.id for message in stored}
    result = [events.item_removed(item_id) for item_id in shown.unfinished if item_id not in stored_ids]
    for message in stored:
        if message.id in shown.finished:
            continue
        if not message.tool_calls:
            result.append(events.item_done(events.assistant_item(message.id, thread_id, message.content)))
            continue
        (call,) = message.tool_calls
        item = events.tool_item(message.id, thread_id, call)
        if call.status != "in_progress":
            result.append(events.item_done(item))
        elif message.id not in shown.unfinished:
            result.append(events.item_added(item))
    return result


async def earlier_frames(redis: Redis, run_id: str, attempt: int) -> list[bytes]:
    """Return what attempts before this one have logged, oldest first. Raises RedisError."""
    last = str(attempt - 1)
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", await redis.xrange(events_key(run_id), max=last))
    return [fields[EVENT_FIELD.encode()] for _, fields in entries]


async def take_over(claim: Claim, run_log: RunLog, redis: Redis, done: Collection[str]) -> None:
    """Correct what the readers see, as soon as Redis lets us.

    First this attempt has to have written: only then is it certain that the older ones, which may still live, add
    nothing to what is read here. Items that this attempt itself has shown to their end meanwhile, `done`, stay as they
    are: the claim tells of them as they were.
    """
    await run_log.wait_for_fence()
    while True:
        try:
            frames = await earlier_frames(redis, claim.run.id, claim.run.attempt)
            break
        except RedisError as error:
            log.warning("run_log_read_failed", error=type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)
    own = [message for message in claim.context if message.run_id == claim.run.id]
    shown = shown_items(frames)
    shown.finished.update(done)
    run_log.append(*corrections(shown, own, claim.conversation.id))
