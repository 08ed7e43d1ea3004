"""Questions about runs, gathered: what is asked, when, and who hears which answer."""

import asyncio
from typing import Any, cast

import pytest
import structlog

from chat_service.relay.errors import RecordUnavailableError, RunGoneError
from chat_service.relay.limits import RelayLimits
from chat_service.relay.watch import RunWatch
from contracts.runs import MAX_STANDINGS, RunStanding
from history_client import HistoryClient, HistoryUnavailableError
from tests.support.servers import eventually

SOON = RelayLimits(queue_frames=1, keepalive_seconds=15.0, lease_seconds=0.3)
LATER = RelayLimits(queue_frames=1, keepalive_seconds=15.0, lease_seconds=3000.0)
"""Nothing is put before 100 s have gone, unless something else brings it about."""


class History:
    """A history-service that knows of some runs; it notes what it is asked."""

    def __init__(self, *known: str) -> None:
        self.known = known
        self.asked: list[list[str]] = []
        self.logged_with: list[dict[str, Any]] = []
        self.failure: Exception | None = None
        self.hangs = False

    async def run_standings(self, run_ids: list[str]) -> list[RunStanding]:
        self.asked.append(run_ids)
        self.logged_with.append(structlog.contextvars.get_contextvars())
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        return [RunStanding(id=run_id, status="queued", attempt=0) for run_id in run_ids if run_id in self.known]


def watch_of(history: History, limits: RelayLimits) -> RunWatch:
    return RunWatch(cast("HistoryClient", history), limits)


async def within(answer: asyncio.Future[RunStanding]) -> RunStanding:
    async with asyncio.timeout(5):
        return await answer


async def test_questions_of_one_moment_are_one_question() -> None:
    history = History("run_1", "run_2")
    watch = watch_of(history, SOON)
    answers = [watch.ask(run_id) for run_id in ("run_1", "run_2", "run_1", "run_3")]
    assert [(await within(answer)).id for answer in answers[:3]] == ["run_1", "run_2", "run_1"]
    with pytest.raises(RunGoneError):
        await within(answers[3])
    assert history.asked == [["run_1", "run_2", "run_3"]]
    assert (await within(watch.ask("run_2"))).id == "run_2"
    assert history.asked[1:] == [["run_2"]]


async def test_an_urgent_question_takes_those_that_wait_along() -> None:
    history = History("run_1", "run_2")
    watch = watch_of(history, LATER)
    waiting, *urgent = watch.ask("run_1"), watch.ask("run_2", at_once=True), watch.ask("run_2", at_once=True)
    assert [(await within(answer)).id for answer in (waiting, *urgent)] == ["run_1", "run_2", "run_2"]
    assert history.asked == [["run_1", "run_2"]]


async def test_a_question_for_all_is_logged_in_nobodys_name() -> None:
    history = History("run_1")
    watch = watch_of(history, SOON)
    for at_once in (True, False):
        with structlog.contextvars.bound_contextvars(principal="alice"):
            answer = watch.ask("run_1", at_once=at_once)
        await within(answer)
    assert history.logged_with == [{}, {}]


async def test_no_question_is_longer_than_the_service_takes() -> None:
    history = History("run_0")
    watch = watch_of(history, LATER)
    answers = [watch.ask(f"run_{number}") for number in range(MAX_STANDINGS)]
    assert (await within(answers[0])).id == "run_0"
    assert [len(asked) for asked in history.asked] == [MAX_STANDINGS]
    for answer in answers[1:]:
        assert isinstance(answer.exception(), RunGoneError)


@pytest.mark.parametrize("failure", [HistoryUnavailableError("upstream_unavailable", "down"), ValueError("a bug")])
async def test_nobody_waits_for_a_question_that_failed(failure: Exception) -> None:
    history = History("run_1")
    history.failure = failure
    watch = watch_of(history, SOON)
    first, second = watch.ask("run_1"), watch.ask("run_1")
    for answer in (first, second):
        with pytest.raises(RecordUnavailableError):
            await within(answer)
    history.failure = None
    assert (await within(watch.ask("run_1"))).status == "queued"


async def test_a_service_that_does_not_answer_is_not_waited_for() -> None:
    history = History("run_1")
    history.hangs = True
    answer = watch_of(history, SOON).ask("run_1", at_once=True)
    with pytest.raises(RecordUnavailableError):
        await within(answer)


async def test_a_reader_that_gave_up_is_left_out() -> None:
    history = History("run_1")
    watch = watch_of(history, SOON)
    gone, waiting = watch.ask("run_1"), watch.ask("run_1")
    gone.cancel()
    assert (await within(waiting)).id == "run_1"


async def test_a_closed_watch_asks_no_more() -> None:
    history = History("run_1")
    history.hangs = True
    watch = watch_of(history, LATER)
    watch.ask("run_1", at_once=True)
    await eventually(lambda: bool(history.asked), what="asked")
    watch.close()
    await eventually(lambda: asyncio.all_tasks() == {asyncio.current_task()}, seconds=2, what="no question left")
