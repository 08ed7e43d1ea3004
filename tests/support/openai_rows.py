"""What the tests of the projection between OpenAI items and the log have in common."""

from datetime import UTC, datetime
from typing import Any, get_args

from hypothesis import HealthCheck, settings

from contracts.conversations import ItemPut, JsonObject, MessageKind, ToolCall
from history_service.domain import item_of
from history_service.openai_projection.accepting import accepted
from history_service.openai_projection.reading import LogRow

THREAD = "thr_1"
NOW = datetime(2026, 11, 21, 4, 5, 6, 789000, tzinfo=UTC)
KINDS: tuple[MessageKind, ...] = get_args(MessageKind)
CALL = ToolCall(id="call_1", name="add_task", arguments={"title": "milk"}, output="added", status="completed")

UNHURRIED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def stored(sent: JsonObject, identifier: str = "msg_1") -> JsonObject:
    """An accepted item under its id."""
    return accepted(sent, "items[0]") | {"id": identifier}


def row(put: ItemPut | JsonObject, **changes: Any) -> LogRow:
    """A row of the log that holds a ChatKit item."""
    put = put if isinstance(put, ItemPut) else ItemPut(payload=put)
    of = item_of(put, THREAD)
    values: dict[str, Any] = {"id": of.id, "position": 1, "kind": of.kind, "content": of.content} | changes
    return LogRow(**values, tool_calls=of.tool_calls, payload=of.payload)


def texts_of(items: list[JsonObject]) -> list[Any]:
    """Roles and texts of messages."""
    return [(entry.get("role"), [part.get("text") for part in entry["content"]]) for entry in items]
