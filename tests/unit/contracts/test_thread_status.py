"""A conversation's status is one that ChatKit can show."""

import pytest
from chatkit.types import ThreadStatus
from pydantic import TypeAdapter, ValidationError

from contracts.conversations import THREAD_STATUSES, ConversationPatch, JsonObject


@pytest.mark.parametrize("kind", THREAD_STATUSES)
def test_every_status_of_chatkits_is_taken(kind: str) -> None:
    status = {"type": kind} if kind == "active" else {"type": kind, "reason": "x"}
    assert ConversationPatch(status=status).status == status
    assert TypeAdapter[object](ThreadStatus).validate_python(status)


@pytest.mark.parametrize(
    "status", [{}, {"type": "gone"}, {"type": None}, {"type": []}, {"type": "closed", "reason": 5}]
)
def test_any_other_is_refused(status: JsonObject) -> None:
    with pytest.raises(ValidationError):
        ConversationPatch(status=status)
