"""Every event that the worker makes by hand is what ChatKit's own types would have made."""

import json
from datetime import UTC, datetime

import pytest
from chatkit.types import ThreadStreamEvent
from pydantic import TypeAdapter

from agent_worker import events
from contracts.conversations import Conversation, ToolCall
from contracts.ids import new_id
from contracts.runs import RunError

CHATKIT = TypeAdapter[ThreadStreamEvent](ThreadStreamEvent)

THREAD = "thr_1"
ITEM = new_id("msg")
CONVERSATION = Conversation(
    id=THREAD, user_id="u", created_at=datetime(2026, 1, 2, tzinfo=UTC), updated_at=datetime(2026, 1, 2, tzinfo=UTC)
)
CALLS = [
    ToolCall(id="c1", name="add_task", arguments={"title": "buy “milk”\n"}),
    ToolCall(id="c2", name="list_tasks", output="{}", status="completed"),
    ToolCall(id="c3", name="delete_task", arguments={"task": "x" * 500, "n": 1}, output="no", status="failed"),
]
ALL = {
    "empty message": events.item_added(events.assistant_item(ITEM, THREAD, None)),
    "text started": events.text_started(ITEM),
    "text delta": events.text_delta(ITEM, 'a "quoted"\nline\u2028 – ünïcode \x07'),
    "text finished": events.text_finished(ITEM, "all"),
    "message done": events.item_done(events.assistant_item(ITEM, THREAD, "all")),
    "removed": events.item_removed(ITEM),
    "progress": events.progress("Thinking…"),
    "effect": events.client_effect(events.TASKS_CHANGED_EFFECT, {"tool": "add_task"}),
    "title": events.thread_updated(CONVERSATION, "Milk"),
    "error": events.error(RunError(code="deadline", message="Too long.", allow_retry=True)),
    **{f"widget {call.status}": events.item_added(events.tool_item(ITEM, THREAD, call)) for call in CALLS},
    **{f"widget {call.status} update": events.widget_updated(ITEM, events.tool_widget(call)) for call in CALLS},
}


@pytest.mark.parametrize("name", ALL)
def test_an_event_is_what_chatkit_would_send(name: str) -> None:
    event = ALL[name]
    assert b"\n" not in event
    parsed = CHATKIT.validate_json(event)
    assert json.loads(CHATKIT.dump_json(parsed, by_alias=True, exclude_none=True)) == json.loads(event)


@pytest.mark.parametrize(("call", "label"), list(zip(CALLS, ["Running", "Success", "Failed"], strict=True)))
def test_a_badge_says_how_a_call_stands(call: ToolCall, label: str) -> None:
    row = events.tool_widget(call)["children"][0]
    badges = [child for child in row["children"] if child["type"] == "Badge"]
    assert [badge["label"] for badge in badges] == [label]
