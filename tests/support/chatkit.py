"""A ChatKit client over HTTP: what the page does, without a page."""

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import httpx

Json = dict[str, Any]


@dataclass
class Answer:
    """A streamed response as it comes in. Times are of the monotonic clock, in seconds."""

    response: httpx.Response
    events: list[Json] = field(default_factory=list[Json])
    delta_times: list[float] = field(default_factory=list[float])

    @property
    def run_id(self) -> str:
        """The run that answers."""
        return self.response.headers["x-run-id"]

    @property
    def thread_id(self) -> str:
        """The thread that the first event with one names."""
        for event in self.events:
            thread_id = event.get("thread", {}).get("id") or event.get("item", {}).get("thread_id")
            if thread_id:
                return cast("str", thread_id)
        raise AssertionError("no event names the thread")

    @property
    def text(self) -> str:
        """The assistant's text: what remains after additions and removals."""
        texts: dict[str, str] = {}
        for event in self.events:
            update = event.get("update", {})
            if update.get("type") == "assistant_message.content_part.text_delta":
                texts[event["item_id"]] = texts.get(event["item_id"], "") + update["delta"]
            elif event["type"] == "thread.item.removed":
                texts.pop(event["item_id"], None)
        return "".join(texts.values())

    @property
    def items(self) -> dict[str, Json]:
        """The finished items by id, in order."""
        return {event["item"]["id"]: event["item"] for event in self.events if event["type"] == "thread.item.done"}

    def badges(self) -> list[str]:
        """Return the labels of all badges in the order in which they were shown."""
        labels: list[str] = []
        for event in self.events:
            widget = event.get("item", {}).get("widget") or event.get("update", {}).get("widget")
            if widget:
                labels.extend(label for label in badges_of(widget) if not labels or labels[-1] != label)
        return labels

    async def until(self, condition: Callable[["Answer"], bool]) -> None:
        """Read on until the condition holds. Raises AssertionError if the stream ends before."""
        async for _ in self:
            if condition(self):
                return
        raise AssertionError(f"the stream ended after {len(self.events)} events")

    async def to_the_end(self) -> "Answer":
        """Read the whole response."""
        async for _ in self:
            pass
        return self

    def __aiter__(self) -> AsyncIterator[Json]:
        """Iterate over the events that are still to come."""
        return self._rest

    def __post_init__(self) -> None:
        self._rest = self._read()

    async def _read(self) -> AsyncGenerator[Json]:
        async for line in self.response.aiter_lines():
            if not line.startswith("data: "):
                continue
            event = cast("Json", json.loads(line.removeprefix("data: ")))
            self.events.append(event)
            if event.get("update", {}).get("type", "").endswith("text_delta"):
                self.delta_times.append(time.monotonic())
            yield event


def badges_of(component: Json) -> list[str]:
    """Return the labels of the badges in a widget."""
    found = [component["label"]] if component.get("type") == "Badge" else []
    children: list[Json] = component.get("children") or []
    for child in children:
        found.extend(badges_of(child))
    return found


class ChatKitClient:
    """Speaks the ChatKit protocol to the gateway as one user."""

    def __init__(self, http: httpx.AsyncClient, user_id: str) -> None:
        self._http = http
        self._path = f"/api/{user_id}/chatkit"

    async def ask(self, kind: str, **params: Any) -> Json:
        """Send a request that is answered at once. Raises httpx.HTTPStatusError for problems."""
        response = await self._http.post(self._path, json={"type": kind, "params": params})
        return cast("Json", response.raise_for_status().json())

    @asynccontextmanager
    async def stream(self, kind: str, **params: Any) -> AsyncGenerator[Answer]:
        """Send a request that is answered by a stream. Raises httpx.HTTPStatusError for problems."""
        async with self._http.stream("POST", self._path, json={"type": kind, "params": params}) as response:
            if response.is_error:
                await response.aread()
            response.raise_for_status()
            assert response.headers["content-type"].startswith("text/event-stream")
            yield Answer(response)

    @asynccontextmanager
    async def say(self, text: str, thread_id: str | None = None) -> AsyncGenerator[Answer]:
        """Send a user message, in a new thread if none is named, and follow the answer."""
        message: Json = {"content": [{"type": "input_text", "text": text}], "attachments": [], "inference_options": {}}
        kind = "threads.add_user_message" if thread_id else "threads.create"
        target = {"thread_id": thread_id} if thread_id else {}
        async with self.stream(kind, input=message, **target) as answer:
            yield answer
