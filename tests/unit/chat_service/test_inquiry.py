"""When readers ask the history-service about their runs."""

import asyncio
from typing import cast

from chat_service.relay.inquiry import Inquiry
from chat_service.relay.limits import RelayLimits
from chat_service.relay.record import RunRecord

LEASE_SECONDS = 15.0


async def test_readers_that_begin_together_spread_their_questions_over_the_lease() -> None:
    limits = RelayLimits(queue_frames=1, keepalive_seconds=15.0, lease_seconds=LEASE_SECONDS)
    began = asyncio.get_running_loop().time()
    asked_in = [0, 0, 0, 0]
    for _ in range(400):
        inquiry = Inquiry(cast("RunRecord", None), limits, on_answer=lambda: None)
        inquiry.prove(began, LEASE_SECONDS)
        inquiry.hasten(LEASE_SECONDS)
        assert began <= inquiry.next_at <= began + LEASE_SECONDS
        # Time goes on since they began: the latest ask at the very end.
        asked_in[min(3, int((inquiry.next_at - began) / LEASE_SECONDS * 4))] += 1
    # 100 in each quarter of it, and 60 or fewer once in 100,000 times.
    assert min(asked_in) > 60, asked_in
