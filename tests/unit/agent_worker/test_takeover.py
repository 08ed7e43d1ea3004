"""What the readers of dead attempts are told when another one takes over."""

import json

from agent_worker import events
from agent_worker.takeover import corrections, shown_items
from contracts.conversations import ToolCall
from contracts.frames import Cursor, chatkit_frame, run_frame
from contracts.ids import new_id
from contracts.runs import ContextMessage

THREAD = "thr_1"
TEXT, CALL = new_id("msg"), new_id("msg")


def shown(*chatkit_events: bytes) -> list[bytes]:
    return [chatkit_frame(Cursor(1, seq), event) for seq, event in enumerate(chatkit_events, 1)]


def text(content: str) -> ContextMessage:
    return ContextMessage(id=TEXT, role="assistant", kind="assistant_message", content=content, run_id="run_1")


def call(output: str | None = None) -> ContextMessage:
    made = ToolCall(id="c1", name="add_task", output=output, status="completed" if output else "in_progress")
    return ContextMessage(id=CALL, role="assistant", kind="widget", content="", tool_calls=[made], run_id="run_1")


def told(frames: list[bytes], *stored: ContextMessage) -> list[tuple[str, str]]:
    told = [json.loads(event) for event in corrections(shown_items(frames), stored, THREAD)]
    return [(event["type"], event.get("item_id") or event["item"]["id"]) for event in told]


BEGUN = (
    events.item_added(events.assistant_item(TEXT, THREAD, None)),
    events.text_started(TEXT),
    events.text_delta(TEXT, "Half"),
)


def test_what_was_not_stored_is_withdrawn() -> None:
    assert told(shown(*BEGUN)) == [("thread.item.removed", TEXT)]


def test_an_item_whose_beginning_is_lost_is_withdrawn_too() -> None:
    assert told(shown(BEGUN[-1])) == [("thread.item.removed", TEXT)]


def test_nothing_is_withdrawn_twice() -> None:
    assert told(shown(*BEGUN, events.item_removed(TEXT))) == []


def test_what_was_stored_and_not_shown_to_its_end_is_shown() -> None:
    (event,) = corrections(shown_items(shown(*BEGUN)), [text("Half and half")], THREAD)
    assert event == events.item_done(events.assistant_item(TEXT, THREAD, "Half and half"))


def test_what_was_shown_to_its_end_stays() -> None:
    done = events.item_done(events.assistant_item(TEXT, THREAD, "Whole."))
    assert told(shown(*BEGUN, done), text("Whole.")) == []


def test_a_call_without_a_result_is_shown_if_it_was_not() -> None:
    added = events.item_added(events.tool_item(CALL, THREAD, call().tool_calls[0]))
    assert told([], call()) == [("thread.item.added", CALL)]
    assert told(shown(added), call()) == []


def test_a_call_whose_result_was_stored_last_is_shown_as_done() -> None:
    added = events.item_added(events.tool_item(CALL, THREAD, call().tool_calls[0]))
    assert told(shown(added), call("{}")) == [("thread.item.done", CALL)]


def test_events_about_the_run_and_others_tell_of_no_items() -> None:
    frames = [run_frame(Cursor(1, 1), b'{"type":"run.in_progress"}'), *shown(events.progress("thread.item.added"))]
    assert told(frames) == []
