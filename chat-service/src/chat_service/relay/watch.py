"""Asking the history-service how runs stand: one question for all readers that ask within a moment."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from contextvars import copy_context

import structlog

from chat_service.relay.errors import RecordUnavailableError, RunGoneError
from chat_service.relay.limits import RelayLimits
from contracts.runs import MAX_STANDINGS, RunStanding
from history_client import HistoryClient, HistoryError

Answer = asyncio.Future[RunStanding]
Gathered = defaultdict[str, list[Answer]]

log = structlog.get_logger(__name__)


class RunWatch:
    """Gathers the questions of a process. Whoever asks about a run was let see it before."""

    def __init__(self, history: HistoryClient, limits: RelayLimits) -> None:
        self._history = history
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._gathered: Gathered = defaultdict(list)
        self._timer: asyncio.Handle | None = None
        self._questions: set[asyncio.Task[None]] = set()

    def ask(self, run_id: str, *, at_once: bool = False) -> Answer:
        """Return the answer to come, which may be cancelled. It fails with RecordUnavailableError or RunGoneError.

        The question is put after `gather_seconds` at the latest, or `at_once`, with what is asked at the same time.
        """
        answer: Answer = self._loop.create_future()
        self._gathered[run_id].append(answer)
        if len(self._gathered) == MAX_STANDINGS:
            self._put()
        elif at_once:
            self._clear_timer()
            self._timer = self._loop.call_soon(self._put)
        elif self._timer is None:
            self._timer = self._loop.call_later(self._limits.gather_seconds, self._put)
        return answer

    def close(self) -> None:
        """Ask no more."""
        self._clear_timer()
        for question in self._questions:
            question.cancel()

    def _clear_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _put(self) -> None:
        self._clear_timer()
        gathered, self._gathered = self._gathered, defaultdict(list)
        # Not in the context of the request that happened to bring it about: it would be logged in that user's name.
        question = asyncio.create_task(self._ask(gathered), context=self._context)
        self._questions.add(question)
        question.add_done_callback(self._questions.discard)

    async def _ask(self, gathered: Gathered) -> None:
        standings: Mapping[str, RunStanding] | None = None
        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                standings = {each.id: each for each in await self._history.run_standings(list(gathered))}
        except (HistoryError, TimeoutError) as error:
            log.warning("run_standings_unknown", runs=len(gathered), error=type(error).__name__)
        except Exception:
            # Readers wait for an answer, whatever it is: log it as what it is, and let them ask again.
            log.exception("run_standings_unknown", runs=len(gathered))
        for run_id, answers in gathered.items():
            for answer in answers:
                if not answer.done():
                    _settle(answer, run_id, standings)


def _settle(answer: Answer, run_id: str, standings: Mapping[str, RunStanding] | None) -> None:
    if standings is None:
        answer.set_exception(RecordUnavailableError("no answer"))
    elif run_id in standings:
        answer.set_result(standings[run_id])
    else:
        answer.set_exception(RunGoneError("run_not_found"))
