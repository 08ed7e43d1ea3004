"""The frames that the chat-service makes itself are of the protocol."""

from datetime import UTC, datetime
from typing import cast

import pytest
from chatkit.types import ThreadStreamEvent
from pydantic import TypeAdapter

from chat_service.relay import synthetic
from contracts.runs import Run, RunError, RunEvent, TerminalStatus
from tests.support.golden import golden, parse

EVENT: TypeAdapter[ThreadStreamEvent] = TypeAdapter(ThreadStreamEvent)
ITEM = golden("text_answer")[-3]["data"]["item"]


@pytest.mark.parametrize(
    "frame",
    [
        synthetic.item_done(ITEM),
        synthetic.item_removed("msg_1"),
        synthetic.error("Zeile 1\nZeile 2 – „ü“", allow_retry=True),
        synthetic.run_failed(None),
        synthetic.run_failed(RunError(code="x", message="Failed.", allow_retry=False)),
    ],
)
def test_chatkit_frames(frame: bytes) -> None:
    [parsed] = parse(frame)
    EVENT.validate_python(parsed["data"])
    assert "event" not in parsed
    assert frame.count(b"\n") == 2


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_run_frames(status: str) -> None:
    run = Run(
        id="run_1",
        conversation_id="thr_1",
        user_id="alice",
        status=cast("TerminalStatus", status),
        attempt=2,
        created_at=datetime.now(UTC),
    )
    [parsed] = parse(synthetic.run_ended(run))
    event = RunEvent.model_validate(parsed["data"])
    assert (parsed["event"], event.type, event.attempt, event.is_terminal) == ("run", f"run.{status}", 2, True)
