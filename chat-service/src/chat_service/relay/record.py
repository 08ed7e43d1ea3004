"""What the history-service says about a run: the word that counts when events are missing."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from contracts.conversations import JsonObject, Message
from contracts.pages import MAX_PAGE_LIMIT
from contracts.runs import Run
from history_client import (
    HistoryError,
    HistoryForbiddenError,
    HistoryNotFoundError,
    UserHistory,
)

MAX_PAGES = 5
"""A run's items are the newest of its conversation but for messages that queue behind it."""


class RecordUnavailableError(Exception):
    """The history-service gave no answer; trying again may help."""


class RunGoneError(Exception):
    """The run is no longer there, or no longer the user's to see."""


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except (HistoryNotFoundError, HistoryForbiddenError) as error:
        raise RunGoneError(error.code) from error
    except HistoryError as error:
        raise RecordUnavailableError(type(error).__name__) from error


class RunRecord:
    """One run, as one user may see it.

    `run` and `items` raise RecordUnavailableError, RunGoneError; callers set the time.
    """

    def __init__(self, history: UserHistory, run: Run) -> None:
        self.run_id = run.id
        self._history = history
        self._conversation_id = run.conversation_id

    async def run(self) -> Run:
        """Return the run as it is now."""
        with _translated():
            return await self._history.get_run(self.run_id)

    async def messages(self) -> list[Message]:
        """Return what the run has stored so far, as messages, oldest first. Raises HistoryError."""
        found: list[Message] = []
        after: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._history.list_messages(
                self._conversation_id, limit=MAX_PAGE_LIMIT, after=after, order="desc"
            )
            found += [row for row in page.data if row.run_id == self.run_id and row.role == "assistant"]
            after = page.after
            if not page.has_more:
                break
        return found[::-1]

    async def items(self) -> list[JsonObject]:
        """Return the items that the run has stored so far, oldest first."""
        with _translated():
            wanted = {message.id for message in await self.messages()}
            return await self._items(wanted) if wanted else []

    async def items_within(self, seconds: float) -> list[JsonObject]:
        """Return the same within so many seconds. Raises RecordUnavailableError if that is not possible."""
        try:
            async with asyncio.timeout(seconds):
                return await self.items()
        except TimeoutError as error:
            raise RecordUnavailableError("no answer in time") from error

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
