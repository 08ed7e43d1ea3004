"""Holds one conversation: its turns one after the other, each message of a turn from a tab of its own."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx

from tests.faults.cases import Case, Wanted
from tests.faults.checks import Held
from tests.faults.client import REQUEST_SECONDS, SILENCE_SECONDS, Sent, Tab
from tests.faults.options import Options
from tests.faults.product import Product

NEWLY_ACKNOWLEDGED_SECONDS = 0.05


@asynccontextmanager
async def client_of(product: Product, user_id: str) -> AsyncGenerator[httpx.AsyncClient]:
    """Give an HTTP client of the user's, patient enough for what is going to happen."""
    headers = {"Authorization": f"Bearer {product.system.token(user_id, seconds=3600)}"}
    timeout = httpx.Timeout(REQUEST_SECONDS, read=SILENCE_SECONDS)
    async with httpx.AsyncClient(base_url=product.client_url, headers=headers, timeout=timeout) as client:
        yield client


async def hold(product: Product, case: Case, options: Options) -> Held:
    """Hold the conversation to its end, or until it has taken too long; nothing is raised."""
    held = Held(case.number, f"user-{case.number}")
    chance = random.Random(f"{options.seed} client {case.number}")  # noqa: S311 - repeatable choices, not secrets
    tabs: list[Tab] = []
    async with client_of(product, held.user_id) as http:
        try:
            tabs.append(Tab(http, held.user_id, chance))
            async with asyncio.timeout(options.message_seconds * case.messages):
                for turn in case.turns:
                    await _take_turn(tabs, turn, http, held.user_id, chance)
        except TimeoutError:
            held.trouble = "it did not come to its end in time"
        except Exception as error:
            # Whatever it is, the other conversations go on; it counts as a broken promise.
            held.trouble = f"it was broken off: {_innermost(error)!r}"
    held.tabs = [(tab.view, tab.followed) for tab in tabs]
    held.notes = sorted(note for tab in tabs for note in tab.notes)
    return held


async def look_again(product: Product, held: Held, seconds: float) -> None:
    """Load the conversation afresh, as a page that is opened now."""
    thread_id = held.tabs[0][0].thread_id
    if thread_id is None:
        held.snapshot = []
        return
    async with client_of(product, held.user_id) as http, asyncio.timeout(seconds):
        tab = Tab(http, held.user_id, random.Random(0))  # noqa: S311 - pauses between tries
        tab.view.thread_id = thread_id
        held.snapshot = await tab.snapshot()


async def _take_turn(
    tabs: list[Tab], turn: tuple[Wanted, ...], http: httpx.AsyncClient, user_id: str, chance: random.Random
) -> None:
    """Post the turn's messages at once: the first from the first tab, the others from new ones."""
    posting = tabs[:1]
    for _ in turn[1:]:
        tab = Tab(http, user_id, chance)
        tab.view.thread_id = tabs[0].view.thread_id
        if tab.view.thread_id is not None:
            await tab.reload()
        posting.append(tab)
    tabs += posting[1:]
    async with asyncio.TaskGroup() as group:
        for tab, wanted in zip(posting, turn, strict=True):
            group.create_task(_say(tab, wanted))


async def _say(tab: Tab, wanted: Wanted) -> None:
    sent = Sent(wanted.text)
    async with asyncio.TaskGroup() as group:
        speaking = group.create_task(tab.say(sent, list(wanted.drops)))
        if wanted.cancel_after is not None:
            group.create_task(_cancel(tab, sent, wanted.cancel_after, speaking))


async def _cancel(tab: Tab, sent: Sent, seconds: float, speaking: "asyncio.Task[None]") -> None:
    """Cancel some time after the acknowledgement, whether or not the run has ended by then."""
    while sent.run_id is None:
        if speaking.done():
            return
        await asyncio.sleep(NEWLY_ACKNOWLEDGED_SECONDS)
    await asyncio.sleep(seconds)
    await tab.cancel(sent)


def _innermost(error: BaseException) -> BaseException:
    """Return the first error that task groups have wrapped."""
    wrapped: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    return _innermost(wrapped[0]) if wrapped else error
