"""A good client of one conversation: repeats what was not acknowledged, and resumes what broke off."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

import httpx

from contracts.frames import Cursor
from contracts.runs import TERMINAL_STATUSES
from tests.faults.view import EventParser, Json, View, WireEvent

Answer = TypeVar("Answer")
End = Literal["ended", "broken", "dropped", "error"]

REQUEST_SECONDS = 40.0
SILENCE_SECONDS = 50.0
"""Three keep-alives missed: the connection is as good as broken."""
RETRY_SECONDS = (0.2, 1.5)
MOST_SENDS = 6
RELOADED_SHARE = 0.3
PAGE_ITEMS = 100


@dataclass
class Stream:
    """One response that was followed: from its head to its end, in seconds since the epoch."""

    opened: float
    ended: float = 0.0
    end: End | None = None
    event_times: list[float] = field(default_factory=list[float])
    attempt_times: dict[int, float] = field(default_factory=dict[int, float])
    """When the first event of each attempt came."""


@dataclass
class Sent:
    """What became of one message as its client knows. `run_id` is there once it was acknowledged."""

    text: str
    """Empty for a run that was followed without having been asked for here."""
    sends: int = 0
    run_id: str | None = None
    seen_stored: bool = False
    """Whether it was found in the thread after its request had failed."""
    cancelled: bool = False
    """Whether a cancel was acknowledged."""
    streams: list[Stream] = field(default_factory=list[Stream])
    wrongs: list[str] = field(default_factory=list[str])


class Tab:
    """One page of a user's. Its requests go through `http`; what it shows is in `view`."""

    def __init__(self, http: httpx.AsyncClient, user_id: str, chance: random.Random) -> None:
        self.view = View()
        self.notes: list[str] = []
        self.followed: list[Sent] = []
        self._http = http
        self._base = f"/api/{user_id}"
        self._chance = chance
        self._cursor: Cursor | None = None
        self._failure: Json | None = None

    async def say(self, sent: Sent, drops: list[int]) -> None:
        """Send the message until it is acknowledged or given up, and follow its run to the end."""
        self.followed.append(sent)
        while sent.run_id is None and not sent.seen_stored and sent.sends < MOST_SENDS:
            sent.sends += 1
            self._note(f"send {sent.text!r}")
            await self._follow(sent, self._post(sent.text), drops)
            if sent.run_id is None:
                await self._pause()
                sent.seen_stored = await self._is_stored(sent.text)
        if sent.seen_stored:
            self._note("stored although not acknowledged")
            while await self._follow_thread(drops):
                pass
            await self.reload()
        elif sent.run_id is not None:
            await self._follow_to_the_end(sent, drops)

    async def cancel(self, sent: Sent) -> None:
        """Cancel the message's run, as often as it takes to be told that it was heard."""
        assert sent.run_id is not None
        path = f"{self._run_path(sent)}/cancel"
        run = await self._until_answered("cancel", lambda: self._http.post(path))
        sent.cancelled = True
        self._note(f"cancelled: {run.json()['status']}")

    async def reload(self, sent: Sent | None = None) -> None:
        """Show a fresh snapshot, if there is a thread: the one of `sent`'s run, or the newest."""
        if self.view.thread_id is None and sent is not None and sent.run_id is not None:
            run = await self._until_answered("run", lambda: self._http.get(self._run_path(sent)))
            self.view.thread_id = run.json()["conversation_id"]
        if self.view.thread_id is None:
            threads = await self._ask("threads.list", limit=1)
            self.view.thread_id = threads["data"][0]["id"] if threads["data"] else None
        if self.view.thread_id is not None:
            self.view.show(await self.snapshot(), self.view.thread_id)
            self._cursor = None
            self._note("reloaded")

    async def snapshot(self) -> list[Json]:
        """Return the whole thread as a reload shows it."""
        assert self.view.thread_id is not None
        thread = await self._ask("threads.get_by_id", thread_id=self.view.thread_id)
        page = thread["items"]
        items = cast("list[Json]", page["data"])
        while page["has_more"]:
            after, thread_id = items[-1]["id"], self.view.thread_id
            page = await self._ask("items.list", thread_id=thread_id, order="asc", limit=PAGE_ITEMS, after=after)
            items += page["data"]
        return items

    def _post(self, text: str) -> httpx.Request:
        message: Json = {"content": [{"type": "input_text", "text": text}], "attachments": [], "inference_options": {}}
        kind = "threads.add_user_message" if self.view.thread_id else "threads.create"
        target = {"thread_id": self.view.thread_id} if self.view.thread_id else {}
        return self._chatkit(kind, input=message, **target)

    def _resume_thread(self) -> httpx.Request:
        """Follow whatever the thread's run is: `run.resume` replays it from its start."""
        action: Json = {"type": "run.resume", "payload": {}}
        return self._chatkit("threads.custom_action", thread_id=self.view.thread_id, item_id=None, action=action)

    async def _follow_thread(self, drops: list[int]) -> bool:
        """Follow the thread's oldest unfinished run to its end; tells whether there was one."""
        found = Sent("")
        await self._follow(found, self._resume_thread(), drops)
        if found.run_id is None:
            return False
        self.followed.append(found)
        await self._follow_to_the_end(found, drops)
        return True

    async def _follow_to_the_end(self, sent: Sent, drops: list[int]) -> None:
        """Resume until nothing is left to follow."""
        while True:
            stream = sent.streams[-1]
            if stream.end in {"ended", "error"}:
                run = (await self._until_answered("run", lambda: self._http.get(self._run_path(sent)))).json()
                if run["status"] in TERMINAL_STATUSES:
                    if stream.end == "error" and run["status"] != "failed":
                        # What a stream that gave up did not show, a last look does.
                        await self.reload(sent)
                    return
                if stream.end == "ended":
                    sent.wrongs.append(f"the stream ended while its run was {run['status']}")
            await self._resume(sent, drops)

    async def _resume(self, sent: Sent, drops: list[int]) -> None:
        """Go on where the stream broke off: behind the last event, or from a fresh snapshot and the log's start.

        The user's own message is in no log: without a cursor it may not have come.
        """
        await self._pause()
        if self._cursor is None or self._chance.random() < RELOADED_SHARE:
            await self.reload(sent)
        headers = {"Last-Event-ID": str(self._cursor)} if self._cursor else {}
        self._note(f"resume {headers}")
        path = f"{self._run_path(sent)}/events"
        await self._follow(sent, self._http.build_request("GET", path, headers=headers), drops)

    def _run_path(self, sent: Sent) -> str:
        return f"{self._base}/runs/{sent.run_id}"

    async def _is_stored(self, text: str) -> bool:
        await self.reload()
        users = [item for item in self.view.items.values() if item["type"] == "user_message"]
        return any(item["content"][0]["text"] == text for item in users)

    async def _follow(self, sent: Sent, request: httpx.Request, drops: list[int]) -> None:
        """Send a request and read its stream to whatever end it has."""
        try:
            async with self._opened(request) as response:
                sent.run_id = response.headers.get("x-run-id", sent.run_id)
                if request.method == "POST":
                    self._cursor = None
                stream = Stream(time.time())
                if sent.run_id is not None:
                    sent.streams.append(stream)
                try:
                    stream.end = await self._read(response, stream, drops)
                except httpx.TransportError as error:
                    stream.end = "broken"
                    self._note(f"broken: {error!r}")
                finally:
                    stream.ended = time.time()
                self._note(f"stream {stream.end}")
        except httpx.TransportError as error:
            self._note(f"no answer: {error!r}")
        except httpx.HTTPStatusError as error:
            self._note(f"refused: {error.response.status_code} {error.response.text[:200]}")
            if error.response.status_code < 500:
                sent.wrongs.append(f"{error.request.url.path} was answered {error.response.status_code}")
                raise

    @asynccontextmanager
    async def _opened(self, request: httpx.Request) -> AsyncGenerator[httpx.Response]:
        response = await self._http.send(request, stream=True)
        try:
            if response.is_error:
                await response.aread()
            response.raise_for_status()
            yield response
        finally:
            await response.aclose()

    async def _read(self, response: httpx.Response, stream: Stream, drops: list[int]) -> End:
        """Apply what comes; returns how it ended. A drop is at a byte, wherever in an event that is."""
        parser, left, self._failure = EventParser(), drops.pop(0) if drops else None, None
        async for chunk in response.aiter_raw():
            piece = chunk if left is None else chunk[:left]
            for event in parser.feed(piece):
                now = time.time()
                stream.event_times.append(now)
                if event.cursor is not None:
                    stream.attempt_times.setdefault(event.cursor.attempt, now)
                self._take(event)
            if left is not None and (left := left - len(piece)) <= 0:
                return "dropped"
        return "error" if self._failure is not None else "ended"

    def _take(self, event: WireEvent) -> None:
        self._cursor = event.cursor or self._cursor
        if event.about_run:
            if event.data["type"] != "run.in_progress":
                self.view.end()
            return
        if event.data["type"] == "error":
            self._failure = event.data
            self._note(f"error event: {event.data.get('message')}")
        self.view.apply(event.data)

    def _chatkit(self, kind: str, **params: Any) -> httpx.Request:
        return self._http.build_request("POST", f"{self._base}/chatkit", json={"type": kind, "params": params})

    async def _ask(self, kind: str, **params: Any) -> Json:
        response = await self._until_answered(kind, lambda: self._http.send(self._chatkit(kind, **params)))
        return cast("Json", response.json())

    async def _until_answered(self, what: str, ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """Ask until there is an answer. Raises HTTPStatusError for one that says that the request is wrong."""
        while True:
            try:
                async with asyncio.timeout(REQUEST_SECONDS):
                    response = await ask()
                if response.status_code < 500:
                    return response.raise_for_status()
                self._note(f"{what}: {response.status_code}")
            except (httpx.TransportError, TimeoutError) as error:
                self._note(f"{what}: {error!r}")
            await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(self._chance.uniform(*RETRY_SECONDS))

    def _note(self, what: str) -> None:
        self.notes.append(f"{time.time():.3f} {what}")
