"""Asking the history-service about a run, beside the frames that may come meanwhile."""

import asyncio
import math
import random
from collections.abc import Callable

from chat_service.relay.errors import RecordUnavailableError
from chat_service.relay.limits import RelayLimits
from chat_service.relay.record import RunRecord
from contracts.runs import TERMINAL_STATUSES, RunStanding

RETRY_SECONDS = 1.0


class Inquiry:
    """When to ask, the question under way, and since when nothing has proved that the run can be followed.

    Proofs are frames, and the word that the run has not ended. Once it is known to have ended only frames count: what
    is left to read must come before the deadline.
    """

    def __init__(self, record: RunRecord, limits: RelayLimits, on_answer: Callable[[], None]) -> None:
        self._record = record
        self._limits = limits
        self._on_answer = on_answer
        self._lost_after = limits.lost_after_seconds
        self._now = asyncio.get_running_loop().time
        self._question: asyncio.Future[RunStanding] | None = None
        self._is_urgent = False
        self._asked_at = 0.0
        self._has_failed = False
        self._due_at = 0.0
        self._deadline = 0.0

    def prove(self, now: float, interval: float) -> None:
        """Take notice of a proof; the next question is due after a silence of `interval` seconds."""
        self._deadline = now + self._lost_after
        self._has_failed = False
        self._due_at = now + interval

    def hasten(self, seconds: float) -> None:
        """Ask within so many seconds, at a random one: readers that begin together do not ask together ever after."""
        self._due_at = min(self._due_at, self._now() + seconds * random.random())  # noqa: S311 - spreads questions

    def hasten_now(self) -> None:
        """Ask now, even if a question is under way: its answer may be older than what brought this about."""
        self.close()
        self._is_urgent = True
        self._due_at = self._now()

    @property
    def is_lost(self) -> bool:
        """Whether there is nothing left to hope for: the deadline has passed, and the newest question failed."""
        return self._has_failed and self._now() >= self._deadline

    @property
    def next_at(self) -> float:
        """When there is something to do, by the loop's clock; an answer that comes calls `on_answer`."""
        due_at = math.inf if self._question is not None else self._due_at
        return min(due_at, self._deadline) if self._has_failed else due_at

    @property
    def patience_seconds(self) -> float:
        """Longest wait for what is stored: once that has failed, no longer than to the deadline."""
        left = self._deadline - self._now() if self._has_failed else math.inf
        return min(self._limits.answer_seconds, left)

    def ask_if_due(self) -> None:
        """Put the question if it is due and none is under way."""
        if self._question is None and self._now() >= self._due_at:
            self._asked_at = self._now()
            self._question = self._record.standing(at_once=self._is_urgent)
            self._is_urgent = False
            self._question.add_done_callback(self._on_done)

    def _on_done(self, question: asyncio.Future[RunStanding]) -> None:
        if question is self._question:
            self._on_answer()

    def answer(self, interval: float) -> RunStanding | None:
        """Return the answer that has come; None while there is none, and if the question failed.

        Raises RunGoneError.
        """
        if self._question is None or not self._question.done():
            return None
        question, self._question = self._question, None
        try:
            standing = question.result()
        except RecordUnavailableError:
            self.fail()
            return None
        if standing.status not in TERMINAL_STATUSES:
            had_failed = self._has_failed
            # It may be as old as the question: the run may have ended since.
            self.prove(self._asked_at, interval)
            if had_failed:  # as all others had, who hear of their runs in the same moment
                self.hasten(interval)
        return standing

    def fail(self) -> None:
        """Take notice that the run's end could not be told; ask again soon."""
        self._has_failed = True
        self._due_at = self._now() + min(RETRY_SECONDS, self._limits.lease_seconds / 3)

    def close(self) -> None:
        """Give the question up."""
        if self._question is not None:
            self._question.cancel()
            self._question = None
