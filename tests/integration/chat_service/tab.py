"""A page as far as its data goes: a snapshot of a conversation, and the events of one run applied to it."""

import asyncio
import json
from typing import Any

from tests.integration.chat_service.system import User

Item = dict[str, Any]


class Tab:
    """One open conversation. Items are kept in the order in which they were first seen."""

    def __init__(self, user: User, thread_id: str, run_id: str) -> None:
        self._user = user
        self._thread_id = thread_id
        self._run_id = run_id
        self._items: dict[str, Item] = {}
        self._unfinished: set[str] = set()
        self._cursor: str | None = None
        self._following: asyncio.Task[None] | None = None
        self.has_ended = False

    @property
    def items(self) -> list[Item]:
        """The conversation as it is shown."""
        return list(self._items.values())

    @property
    def is_following(self) -> bool:
        """Whether a stream is open."""
        return self._following is not None

    async def load(self) -> None:
        """Take a snapshot."""
        self._items = {item["id"]: item for item in await snapshot(self._user, self._thread_id)}
        self._unfinished.clear()
        self._cursor = None

    def follow(self, user: User) -> None:
        """Open a stream, on the instance that `user` talks to, behind the last event seen."""
        self._following = asyncio.create_task(self._follow(user))

    async def leave(self) -> None:
        """Close the stream, wherever it is."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
            self._following = None

    async def read_to_the_end(self, seconds: float) -> None:
        """Wait until the stream has ended. Raises what kept it from ending well."""
        assert self._following is not None
        async with asyncio.timeout(seconds):
            await self._following
        assert self.has_ended, "the stream ended before the run"

    async def _follow(self, user: User) -> None:
        rest = b""
        async with user.follow(self._run_id, self._cursor) as stream:
            async for chunk in stream.response.aiter_raw():
                *frames, rest = (rest + chunk).split(b"\n\n")
                for frame in frames:
                    self._take(frame)

    def _take(self, frame: bytes) -> None:
        fields = dict(line.split(": ", 1) for line in frame.decode().split("\n") if not line.startswith(":"))
        self._cursor = fields.get("id", self._cursor)
        if "event" in fields:
            self._take_run_event(json.loads(fields["data"]))
        elif "data" in fields:
            self._apply(json.loads(fields["data"]))

    def _take_run_event(self, event: dict[str, Any]) -> None:
        if event["type"] != "run.in_progress":
            self.has_ended = True
            # Nothing follows: what was not finished by now never will be.
            for item_id in self._unfinished:
                del self._items[item_id]
            self._unfinished.clear()

    def _apply(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "thread.item.added":
                self._items[event["item"]["id"]] = event["item"]
                self._unfinished.add(event["item"]["id"])
            case "thread.item.updated":
                self._update(self._items[event["item_id"]], event["update"])
            case "thread.item.done":
                _assert_grown(self._items.get(event["item"]["id"], {}), event["item"])
                self._items[event["item"]["id"]] = event["item"]
                self._unfinished.discard(event["item"]["id"])
            case "thread.item.removed":
                self._items.pop(event["item_id"], None)
                self._unfinished.discard(event["item_id"])
            case other:
                raise AssertionError(f"unexpected {other}")

    def _update(self, item: Item, update: dict[str, Any]) -> None:
        match update["type"]:
            case "assistant_message.content_part.added" | "assistant_message.content_part.done":
                _assert_grown(item, {"content": [update["content"]]})
                item["content"][update["content_index"] :] = [update["content"]]
            case "assistant_message.content_part.text_delta":
                item["content"][update["content_index"]]["text"] += update["delta"]
            case "widget.root.updated":
                item["widget"] = update["widget"]
            case other:
                raise AssertionError(f"unexpected {other}")


def _assert_grown(shown: Item, finished: Item) -> None:
    """What was shown of a text is its beginning: nothing is missing, doubled or out of order in it."""
    assert _text_of(finished).startswith(_text_of(shown))


def _text_of(item: Item) -> str:
    parts: list[Item] = item.get("content", [])
    return "".join(part["text"] for part in parts)


async def snapshot(user: User, thread_id: str) -> list[Item]:
    """Return all items of the conversation as a reload shows them."""
    page = (await user.post("threads.get_by_id", thread_id=thread_id)).json()["items"]
    items: list[Item] = page["data"]
    while page["has_more"]:
        answer = await user.post("items.list", thread_id=thread_id, after=page["after"], order="asc")
        page = answer.json()
        items += page["data"]
    return items
