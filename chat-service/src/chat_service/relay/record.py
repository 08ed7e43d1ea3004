"""What the history-service says about a run: the word that counts when events are missing."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from chat_service.relay.errors import RecordUnavailableError, RunGoneError
from chat_service.relay.watch import RunWatch
from contracts.conversations import JsonObject, Message
from contracts.pages import MAX_PAGE_LIMIT
from contracts.runs import Run, RunStanding
from history_client import (
    HistoryError,
    HistoryForbiddenError,
    HistoryNotFoundError,
    UserHistory,
)

MAX_PAGES = 5
"""A run's items are the newest of its conversation but for messages that queue behind it."""


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except (HistoryNotFoundError, HistoryForbiddenError) as error:
        raise RunGoneError(error.code) from error
    except HistoryError as error:
        raise RecordUnavailableError(type(error).__name__) from error


async def messages_of(history: UserHistory, conversation_id: str, run_id: str) -> list[Message]:
    """Return what a run has stored so far, as messages, oldest first. Raises HistoryError."""
    found: list[Message] = []
    after: str | None = None
    for _ in range(MAX_PAGES):
        page = await history.list_messages(conversation_id, limit=MAX_PAGE_LIMIT, after=after, order="desc")
        found += [row for row in page.data if row.run_id == run_id and row.role == "assistant"]
        after = page.after
        if not page.has_more:
            break
    return found[::-1]


class RunRecord:
    """One run, as one user may see it.

    `run` and `items` raise RecordUnavailableError, RunGoneError; callers set the time.
    """

    def __init__(self, history: UserHistory, run: Run, watch: RunWatch) -> None:
        self.run_id = run.id
        self._history = history
        self._conversation_id = run.conversation_id
        self._watch = watch

    def standing(self, *, at_once: bool) -> asyncio.Future[RunStanding]:
        """Return the answer to come to how far the run has come; see `RunWatch.ask`."""
        return self._watch.ask(self.run_id, at_once=at_once)

    async def run(self) -> Run:
        """Return the run as it is now."""
        with _translated():
            return await self._history.get_run(self.run_id)

    async def items(self) -> list[JsonObject]:
        """Return the items that the run has stored so far, oldest first."""
        with _translated():
            messages = await messages_of(self._history, self._conversation_id, self.run_id)
            wanted = {message.id for message in messages}
            return await self._items(wanted) if wanted else []

    async def _items(self, wanted: set[str]) -> list[JsonObject]:
        found: list[JsonObject] = []
        after: str | None = None
        while len(found) < len(wanted):
            page = await self._history.list_items(
                self._conversation_id, limit=MAX_PAGE_LIMIT, after=after, order="desc"
            )
            found += [item for item in page.data if item["id"] in wanted]
            after = page.after
            if not page.has_more:
                break
        return found[::-1]
