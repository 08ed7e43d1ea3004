"""Builders of what the history-service stores."""

from datetime import UTC, datetime
from typing import Any

from contracts.conversations import ConversationPut, ItemPut, JsonObject, ToolCall
from contracts.ids import new_id
from contracts.runs import Claim, RunCreate, RunFinish, RunItemsPut
from history_client import WorkerHistoryClient


def item(conversation_id: str, kind: str, item_id: str | None = None, **members: Any) -> JsonObject:
    """A ChatKit item of a kind, with its members."""
    return {
        "id": item_id or new_id("msg"),
        "thread_id": conversation_id,
        "created_at": datetime.now(UTC).isoformat(),
        "type": kind,
        **members,
    }


def user_message(conversation_id: str, text: str = "Hello", item_id: str | None = None) -> JsonObject:
    """What a user says."""
    content = [{"type": "input_text", "text": text}]
    return item(
        conversation_id,
        "user_message",
        item_id,
        content=content,
        attachments=[],
        quoted_text=None,
        inference_options={},
    )


def assistant_message(conversation_id: str, text: str = "Hi", item_id: str | None = None) -> JsonObject:
    """What the model answers."""
    content: list[JsonObject] = [{"type": "output_text", "text": text, "annotations": []}]
    return item(conversation_id, "assistant_message", item_id, content=content)


def tool_widget(conversation_id: str, call: ToolCall, item_id: str | None = None) -> ItemPut:
    """A tool call as it is shown and recorded."""
    card = {"type": "Card", "children": [{"type": "Badge", "label": call.status}]}
    return ItemPut(payload=item(conversation_id, "widget", item_id, widget=card, copy_text=None), tool_calls=[call])


def conversation_put(conversation_id: str | None = None, title: str | None = None) -> ConversationPut:
    """A new conversation."""
    return ConversationPut(id=conversation_id or new_id("thr"), title=title, created_at=datetime.now(UTC))


def run_create(conversation_id: str, text: str = "Hello", *, new: bool = False) -> RunCreate:
    """A message with its run; with `new`, also the conversation."""
    return RunCreate(
        id=new_id("run"),
        item=user_message(conversation_id, text),
        conversation=conversation_put(conversation_id) if new else None,
    )


def items_put(attempt: int, *items: ItemPut | JsonObject) -> RunItemsPut:
    """Items of an attempt."""
    return RunItemsPut(attempt=attempt, items=[_put(entry) for entry in items])


def finish(attempt: int, *items: ItemPut | JsonObject, **members: Any) -> RunFinish:
    """The end of a run, completed unless said otherwise."""
    members = {"status": "completed", **members}
    return RunFinish(attempt=attempt, items=[_put(entry) for entry in items], **members)


async def claim_one(worker: WorkerHistoryClient, worker_id: str = "worker-1") -> Claim | None:
    """Claim the oldest run that can be executed; None if there is none."""
    claims = await worker.claim_runs(worker_id, 1)
    assert len(claims) <= 1
    return claims[0] if claims else None


def _put(entry: ItemPut | JsonObject) -> ItemPut:
    return entry if isinstance(entry, ItemPut) else ItemPut(payload=entry)
