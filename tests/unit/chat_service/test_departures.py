"""When the grace period of a departure begins and ends."""

import asyncio
from datetime import UTC, datetime
from typing import cast

from chat_service.services.departures import Departures
from chat_service.services.runs import RunNotices
from contracts.runs import Run
from history_client import HistoryUnavailableError, UserHistory
from tests.support.servers import eventually

GRACE_SECONDS = 0.2
RUN = Run(
    id="run_1",
    conversation_id="thr_1",
    user_id="alice",
    status="in_progress",
    attempt=1,
    created_at=datetime.now(UTC),
)
HISTORY = cast("UserHistory", None)


class Notices(RunNotices):
    """Remembers when it was asked, by the loop's clock."""

    def __init__(self) -> None:
        self.asked_at: list[float] = []

    async def has_readers(self, run_id: str) -> bool:
        """Say no."""
        self.asked_at.append(asyncio.get_running_loop().time())
        return False

    async def cancel(self, history: UserHistory, run_id: str) -> Run:
        """Fail, as when the history-service is away."""
        raise HistoryUnavailableError("upstream_unavailable", "Away.")


async def test_each_departure_begins_the_grace_period_anew() -> None:
    notices = Notices()
    departures = Departures(notices, GRACE_SECONDS)
    departures.note(HISTORY, RUN)
    await asyncio.sleep(GRACE_SECONDS / 4)
    again_at = asyncio.get_running_loop().time()
    departures.note(HISTORY, RUN)
    await eventually(lambda: departures.count == 0, what="grace period over")
    # On a machine that stood still, the first period may have ended before the second departure.
    (asked_at,) = [moment for moment in notices.asked_at if moment >= again_at]
    assert asked_at >= again_at + GRACE_SECONDS
