"""Snapshot + events = fresh snapshot, for any sequence of publish, crash, retry, disconnect, resume and loss.

The machine runs in a thread; what it does runs in the test's event loop, against real services, Postgres and Valkey.
`pytest <this file> --relay-machines=500` tries more of them.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from agent_worker import events
from agent_worker.takeover import corrections, earlier_frames, shown_items
from contracts.conversations import ToolCall
from contracts.ids import new_id
from contracts.redis_keys import events_key
from launcher.sql import connected
from tests.integration.chat_service.system import System, User, message, running_system
from tests.integration.chat_service.tab import Tab, snapshot
from tests.support.publisher import RunPublisher
from tests.support.servers import eventually

LEASE_SECONDS = 0.5
END_SECONDS = 2 * LEASE_SECONDS + 5
STEPS = 40
STEP_SECONDS = 30

T = TypeVar("T")


@dataclass
class World:
    """What all machines share: two chat-services over one history-service."""

    loop: asyncio.AbstractEventLoop
    system: System
    other: System
    admin_url: str

    def do(self, act: Awaitable[T]) -> T:
        """Do something in the event loop."""

        async def done() -> T:
            return await act

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(STEP_SECONDS)

    def user(self, number: int) -> User:
        """Return the user, as one of the instances knows them."""
        return (self.system, self.other)[number % 2].user()

    async def expire_lease(self, run_id: str) -> None:
        """Let the run be claimed again, as if its worker had been silent for too long."""
        async with connected(self.admin_url) as connection:
            await connection.execute(
                "UPDATE history.runs SET lease_expires_at = now() - interval '1 second' WHERE id = $1", run_id
            )


class RelayMachine(RuleBasedStateMachine):
    """One run, its worker and the tabs that show it."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.tabs: list[Tab] = []
        self.worker: RunPublisher | None = None
        self.text: str | None = None
        self.said = ""
        self.calls: dict[str, ToolCall] = {}
        self.has_ended = False

    @initialize()
    def post(self) -> None:
        """Somebody says something, and sees the answer begin."""
        self.world.do(self._post())

    async def _post(self) -> None:
        user = self.world.user(0)
        async with user.stream("threads.create", input=message("Hello")) as chat:
            await chat.read_until(b"stream_options")
            self.thread_id = chat.events[0]["thread"]["id"]
            self.run_id = chat.run_id
        await self._open(0)

    async def _open(self, instance: int) -> None:
        tab = Tab(self.world.user(instance), self.thread_id, self.run_id)
        await tab.load()
        tab.follow(self.world.user(instance))
        self.tabs.append(tab)

    @precondition(lambda self: self.worker is None and not self.has_ended)
    @rule()
    def claim(self) -> None:
        """A worker takes the run, and corrects what dead attempts have shown, as far as the log still tells."""
        self.world.do(self._claim())

    async def _claim(self) -> None:
        system = self.world.system
        self.worker = await system.worker.claim()
        assert self.worker.run_id == self.run_id
        shown = shown_items(await earlier_frames(system.redis, self.run_id, self.worker.attempt))
        await self._publish(*corrections(shown, system.worker.stored(self.run_id), self.thread_id))

    async def _publish(self, *chatkit_events: bytes) -> None:
        assert self.worker is not None
        await self.worker.publish_encoded(*chatkit_events)

    @precondition(lambda self: self.worker)
    @rule(deltas=st.lists(st.text("ab\né„", min_size=1, max_size=3), min_size=1, max_size=4), missed=st.integers(0, 2))
    def say(self, deltas: list[str], missed: int) -> None:
        """Some text, of a new message or the one being written; readers miss the first pieces on the channel."""
        self.world.do(self._say(deltas, missed))

    async def _say(self, deltas: list[str], missed: int) -> None:
        assert self.worker is not None
        if self.text is None:
            self.text, self.said = new_id("msg"), ""
            empty = events.assistant_item(self.text, self.thread_id, None)
            await self._publish(events.item_added(empty), events.text_started(self.text))
        self.said += "".join(deltas)
        encoded = [events.text_delta(self.text, delta) for delta in deltas]
        await self.worker.publish_encoded(*encoded[:missed], log_only=True)
        await self.worker.publish_encoded(*encoded[missed:])

    @precondition(lambda self: self.worker and self.text)
    @rule(dies=st.booleans())
    def finish_text(self, dies: bool) -> None:
        """The message is complete: stored, then shown; its worker may die in between."""
        self.world.do(self._finish_text(dies))

    async def _finish_text(self, dies: bool) -> None:
        assert self.text is not None
        item = events.assistant_item(self.text, self.thread_id, self.said)
        await self.world.system.worker.store(self.run_id, item)
        if dies:
            await self._crash()
        else:
            await self._publish(events.text_finished(self.text, self.said), events.item_done(item))
        self.text = None

    @precondition(lambda self: self.worker and self.text is None)
    @rule()
    def call_tool(self) -> None:
        """A tool is called: its card is stored, then shown."""
        self.world.do(self._show_call(new_id("msg"), ToolCall(id=new_id("tc"), name="add_task")))

    @precondition(lambda self: self.worker and self.text is None and self.calls)
    @rule(status=st.sampled_from(["completed", "failed"]))
    def finish_tool(self, status: str) -> None:
        """A tool has answered: a later attempt finishes what an earlier one began."""
        item_id, call = self.calls.popitem()
        self.world.do(self._show_call(item_id, ToolCall.model_validate({**call.model_dump(), "status": status})))

    async def _show_call(self, item_id: str, call: ToolCall) -> None:
        item = events.tool_item(item_id, self.thread_id, call)
        await self.world.system.worker.store(self.run_id, item, call)
        if call.status == "in_progress":
            self.calls[item_id] = call
            await self._publish(events.item_added(item))
        else:
            await self._publish(events.widget_updated(item_id, item["widget"]), events.item_done(item))

    @precondition(lambda self: self.worker)
    @rule()
    def crash(self) -> None:
        """The worker dies."""
        self.world.do(self._crash())

    async def _crash(self) -> None:
        self.worker, self.text = None, None
        await self.world.expire_lease(self.run_id)

    @rule(instance=st.integers(0, 1))
    def open_tab(self, instance: int) -> None:
        """One more page shows the conversation."""
        if len(self.tabs) < 5:
            self.world.do(self._open(instance))

    @rule(number=st.integers(0, 4))
    def disconnect(self, number: int) -> None:
        """A page loses its connection."""
        self.world.do(self.tabs[number % len(self.tabs)].leave())

    @rule(number=st.integers(0, 4), instance=st.integers(0, 1), reloads=st.booleans())
    def resume(self, number: int, instance: int, reloads: bool) -> None:
        """A page that was cut off comes back: from its last event, or loaded anew."""
        self.world.do(self._resume(self.tabs[number % len(self.tabs)], instance, reloads))

    async def _resume(self, tab: Tab, instance: int, reloads: bool) -> None:
        if not tab.is_following:
            if reloads:
                await tab.load()
            tab.follow(self.world.user(instance))

    @rule(what=st.sampled_from(["log", "beginning", "connections"]))
    def lose(self, what: str) -> None:
        """Redis is emptied, the log outgrows its bound, or the chat-services lose their connections to the channels."""
        redis = self.world.system.redis
        match what:
            case "log":
                self.world.do(redis.flushdb())
            case "beginning":
                self.world.do(redis.xtrim(events_key(self.run_id), maxlen=2, approximate=False))
            case _:
                self.world.do(redis.client_kill_filter(_type="pubsub"))

    @rule(steps=st.integers(1, 30))
    def wait(self, steps: int) -> None:
        """What is under way gets a little further."""
        self.world.do(self._wait(steps))

    async def _wait(self, steps: int) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)

    @precondition(lambda self: self.worker and self.text is None and not self.calls)
    @rule(publishes=st.booleans())
    def end(self, publishes: bool) -> None:
        """The run is completed; the event that says so may be lost."""
        self.world.do(self._end(publishes))

    async def _end(self, publishes: bool) -> None:
        await self.world.system.worker.finish(self.run_id, publish=publishes)
        self.worker, self.has_ended = None, True

    def teardown(self) -> None:
        """Let the run end; every tab must show what a reload shows."""
        if hasattr(self, "run_id"):
            self.world.do(self._settle())

    async def _settle(self) -> None:
        if not self.has_ended:
            if self.worker is None:
                await self._claim()
            if self.text:
                await self._finish_text(dies=False)
            while self.calls:
                item_id, call = self.calls.popitem()
                await self._show_call(item_id, call.model_copy(update={"status": "completed"}))
            await self._end(publishes=True)
        try:
            for number, tab in enumerate(self.tabs):
                await self._resume(tab, number, reloads=False)
            for tab in self.tabs:
                await tab.read_to_the_end(END_SECONDS)
            fresh = await snapshot(self.world.user(0), self.thread_id)
            for tab in self.tabs:
                assert tab.items == fresh
        finally:
            for tab in self.tabs:
                await tab.leave()


async def test_snapshot_and_events_are_a_fresh_snapshot(
    database_url: str, admin_database_url: str, redis_url: str, request: pytest.FixtureRequest
) -> None:
    history = {"run_max_attempts": 1000, "run_queue_limit_per_user": 1000}
    async with (
        running_system(database_url, redis_url, history=history, run_lease_seconds=LEASE_SECONDS) as system,
        system.another_instance() as other,
    ):
        world = World(asyncio.get_running_loop(), system, other, admin_database_url)
        machine = type("Machine", (RelayMachine,), {"world": world})
        count = cast("int", request.config.getoption("--relay-machines"))
        profile = settings(
            max_examples=count,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
            phases=[phase for phase in Phase if phase is not Phase.explain],
        )
        await asyncio.to_thread(run_state_machine_as_test, machine, settings=profile)
        await eventually(lambda: system.app.state.resources.relay.hub.channel_count == 0, what="all readers left")
