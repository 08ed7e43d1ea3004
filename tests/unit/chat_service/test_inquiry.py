"""When readers ask the history-service about their runs."""

import asyncio
from typing import cast

import pytest

from chat_service.relay.errors import RecordUnavailableError
from chat_service.relay.inquiry import Inquiry
from chat_service.relay.limits import RelayLimits
from chat_service.relay.record import RunRecord
from chat_service.relay.watch import Answer
from contracts.runs import RunStanding

LEASE_SECONDS = 15.0
LIMITS = RelayLimits(queue_frames=1, keepalive_seconds=15.0, lease_seconds=LEASE_SECONDS)
GOES_ON = RunStanding(id="run_1", status="in_progress", attempt=1)


class Asked:
    """A record that is answered by the test."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def standing(self, *, at_once: bool) -> Answer:
        """Note the question."""
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]


class Stage:
    """An inquiry that began at 0, and whose clock and history-service are the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.record = Asked()
        self.inquiry = Inquiry(cast("RunRecord", self.record), LIMITS, on_answer=lambda: None)
        monkeypatch.setattr(self.inquiry, "_now", lambda: self.now)
        self.inquiry.prove(0.0, LEASE_SECONDS)

    def ask(self, *, at: float) -> Answer:
        """Let time go on to a question."""
        self.now = at
        self.inquiry.ask_if_due()
        return self.record.answers[-1]

    def hear(self, *, at: float) -> RunStanding | None:
        """Let time go on to when its answer is looked at."""
        self.now = at
        return self.inquiry.answer(LEASE_SECONDS)

    def is_lost(self, *, at: float) -> bool:
        """Tell whether there is nothing left to hope for then."""
        self.now = at
        return self.inquiry.is_lost

    def fail(self, *, at: float) -> None:
        """Ask in vain."""
        self.ask(at=at).set_exception(RecordUnavailableError("no answer"))
        assert self.hear(at=at) is None


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


async def test_an_answer_proves_no_more_than_when_it_was_asked_for(stage: Stage) -> None:
    stage.ask(at=15.0).set_result(GOES_ON)
    assert stage.hear(at=20.0) == GOES_ON
    stage.fail(at=49.0)
    assert not stage.is_lost(at=49.9)
    assert stage.is_lost(at=50.0)


async def test_what_is_stored_is_waited_for_until_all_is_lost_and_no_longer(stage: Stage) -> None:
    assert stage.inquiry.patience_seconds == LIMITS.answer_seconds
    stage.fail(at=20.0)
    assert stage.inquiry.patience_seconds == LIMITS.answer_seconds
    stage.now = LIMITS.lost_after_seconds - 2
    assert stage.inquiry.patience_seconds == 2


async def test_readers_that_failed_together_do_not_ask_together_ever_after(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [Stage(monkeypatch) for _ in range(100)]
    for stage in stages:
        stage.fail(at=15.0)
        stage.ask(at=16.0).set_result(GOES_ON)
        assert stage.hear(at=16.0) == GOES_ON
    due = sorted(stage.inquiry.next_at for stage in stages)
    assert due[-1] <= 31.0
    assert due[-1] - due[0] > 5  # of 15


async def test_readers_that_begin_together_spread_their_questions_over_the_lease() -> None:
    began = asyncio.get_running_loop().time()
    asked_in = [0, 0, 0, 0]
    for _ in range(400):
        inquiry = Inquiry(cast("RunRecord", None), LIMITS, on_answer=lambda: None)
        inquiry.prove(began, LEASE_SECONDS)
        inquiry.hasten(LEASE_SECONDS)
        assert began <= inquiry.next_at <= began + LEASE_SECONDS
        # Time goes on since they began: the latest ask at the very end.
        asked_in[min(3, int((inquiry.next_at - began) / LEASE_SECONDS * 4))] += 1
    # 100 in each quarter of it, and 60 or fewer once in 100,000 times.
    assert min(asked_in) > 60, asked_in
