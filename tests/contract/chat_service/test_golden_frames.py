"""The golden frames are ChatKit's protocol, and the chat-service reads them as what they are."""

import pytest
from chatkit.types import ThreadStreamEvent
from pydantic import TypeAdapter

from chat_service.relay.items import ItemGate, ItemTracker
from contracts.frames import Cursor, frame_cursor, frame_data, is_run_frame
from contracts.runs import RunEvent
from tests.support.golden import encode, golden, golden_names, normalized, parse
from tests.support.publisher import to_json

EVENT: TypeAdapter[ThreadStreamEvent] = TypeAdapter(ThreadStreamEvent)
ANSWERS = ["text_answer", "tool_call", "failed_run"]


@pytest.mark.parametrize("name", golden_names())
def test_every_frame_is_of_the_protocol(name: str) -> None:
    for frame in golden(name):
        if "event" in frame:
            RunEvent.model_validate(frame["data"])
        else:
            event = EVENT.validate_python(frame["data"])
            # Nothing is lost on the way through ChatKit's types: no field is misspelt or unknown.
            again = event.model_dump(mode="json", by_alias=True, exclude_unset=True)
            assert normalized([{"data": again}]) == normalized([frame])


@pytest.mark.parametrize("name", golden_names())
def test_the_kind_of_an_event_stands_first(name: str) -> None:
    for frame in golden(name):
        assert to_json(frame["data"]).startswith(b'{"type":"')


@pytest.mark.parametrize("name", ANSWERS)
def test_a_run_begins_and_ends_with_events_about_itself(name: str) -> None:
    frames = encode(golden(name))
    assert [is_run_frame(frame) for frame in frames] == [True, *[False] * (len(frames) - 2), True]
    assert not RunEvent.model_validate_json(frame_data(frames[0])).is_terminal
    assert RunEvent.model_validate_json(frame_data(frames[-1])).is_terminal
    assert [frame_cursor(frame) for frame in frames] == [Cursor(1, seq) for seq in range(1, len(frames) + 1)]
    assert parse(b"".join(frames)) == golden(name)


@pytest.mark.parametrize("name", ANSWERS)
def test_at_every_point_the_relay_knows_what_is_unfinished(name: str) -> None:
    tracker, begun = ItemTracker(), set[str]()
    for frame, raw in zip(golden(name), encode(golden(name)), strict=True):
        if "event" not in frame:
            tracker.note(raw)
        match frame["data"]["type"]:
            case "thread.item.added":
                begun.add(frame["data"]["item"]["id"])
            case "thread.item.done":
                begun.discard(frame["data"]["item"]["id"])
            case _:
                pass
        assert tracker.unfinished == begun
    assert not begun


@pytest.mark.parametrize("name", ANSWERS)
def test_after_a_loss_at_any_point_no_update_comes_without_its_beginning(name: str) -> None:
    frames = encode(golden(name))
    for lost in range(len(frames)):
        gate, begun = ItemGate([]), set[str]()
        passed = [frame for frame in frames[lost:] if is_run_frame(frame) or gate.admits(frame)]
        for frame in parse(b"".join(passed)):
            data = frame["data"]
            if data["type"] == "thread.item.added":
                begun.add(data["item"]["id"])
            if data["type"] == "thread.item.updated":
                assert data["item_id"] in begun
        finished = [f for f in passed if b'"thread.item.done"' in f]
        assert finished == [f for f in frames[lost:] if b'"thread.item.done"' in f]


def test_the_badge_goes_from_running_to_success() -> None:
    labels = [
        frame["data"]["item"]["widget"]["children"][0]["children"][-1]["label"]
        for frame in golden("tool_call")
        if frame["data"].get("item", {}).get("type") == "widget"
    ]
    assert labels == ["Running", "Success"]
