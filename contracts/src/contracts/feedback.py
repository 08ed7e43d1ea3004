"""What users think of items: one opinion per item."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from contracts.conversations import Wire

MAX_FEEDBACK_ITEMS = 100

FeedbackKind = Literal["positive", "negative"]


class Feedback(Wire):
    """The user's opinion of an item; a later one takes its place."""

    conversation_id: str
    item_id: str
    kind: FeedbackKind
    created_at: datetime


class FeedbackPut(Wire):
    """One opinion of several items."""

    item_ids: list[str] = Field(min_length=1, max_length=MAX_FEEDBACK_ITEMS)
    kind: FeedbackKind
