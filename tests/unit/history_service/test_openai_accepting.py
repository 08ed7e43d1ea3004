"""OpenAI items as clients send them: completed, or refused with the path of what is wrong."""

import copy
from typing import Any, Required, get_args, get_origin, get_type_hints

import pytest
from agents.models.fake_id import FAKE_RESPONSES_ID
from hypothesis import given, settings
from openai.types.responses.response_input_item_param import ResponseInputItemParam

from contracts.conversations import JsonObject
from history_service.errors import InvalidOpenAIItemError
from history_service.openai_projection.accepting import accepted, accepted_items
from history_service.openai_projection.ids import PLACEHOLDER_ID
from history_service.openai_projection.item_types import ITEM_TYPES
from tests.support.openai_items import EXAMPLES, messages

NOT_CONTENT = {"item_reference", "compaction_trigger"}


def of_sdk() -> dict[str, set[str]]:
    """Each type of the client's input items with what all its shapes require."""
    found: dict[str, set[str]] = {}
    for shape in get_args(ResponseInputItemParam):
        hints = get_type_hints(shape, include_extras=True)
        kind = str(next(value for value in _literals(hints["type"]) if value))
        required = {name for name, hint in hints.items() if get_origin(hint) is Required} - {"id", "type"}
        found[kind] = found.get(kind, required) & required
    return found


def _literals(hint: Any) -> list[Any]:
    return [value for part in get_args(hint) for value in _literals(part)] or list(get_args(hint)) or [hint]


def test_the_types_are_those_of_the_client() -> None:
    types = {kind: required for kind, required in of_sdk().items() if kind not in NOT_CONTENT}
    assert ITEM_TYPES.keys() == types.keys()
    assert {kind: set(known.required) for kind, known in ITEM_TYPES.items()} == types


def test_the_prefixes_of_ids_differ() -> None:
    assert len({known.prefix for known in ITEM_TYPES.values()}) == len(ITEM_TYPES)


@pytest.mark.parametrize("kind", ITEM_TYPES)
def test_every_type_is_accepted_and_kept(kind: str) -> None:
    sent = EXAMPLES[kind] | {"not_known_here": {"kept": [1.5, None]}}
    stored = accepted(sent, "items[0]")
    assert {name: stored[name] for name in sent if name != "content"} == {
        name: value for name, value in sent.items() if name != "content"
    }
    assert ("status" in stored) == (ITEM_TYPES[kind].has_status or "status" in sent)


CONTENTS: list[tuple[object, str, list[JsonObject]]] = [
    ("Hi", "user", [{"type": "input_text", "text": "Hi"}]),
    ("Be kind", "developer", [{"type": "input_text", "text": "Be kind"}]),
    ("Hello", "assistant", [{"type": "output_text", "text": "Hello", "annotations": []}]),
    ([], "user", []),
    (
        [{"type": "output_text", "text": "Hello", "annotations": None, "logprobs": []}],
        "assistant",
        [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
    ),
    (
        [{"type": "input_image", "image_url": "https://images.example/1.png"}],
        "user",
        [{"type": "input_image", "image_url": "https://images.example/1.png", "detail": "auto"}],
    ),
]


@pytest.mark.parametrize(("content", "role", "parts"), CONTENTS)
def test_content_becomes_parts(content: object, role: str, parts: list[JsonObject]) -> None:
    sent = {"role": role, "content": copy.deepcopy(content)}
    stored = accepted(sent, "items[0]")
    assert stored == {"type": "message", "role": role, "content": parts, "status": "completed"}
    assert sent == {"role": role, "content": content}, "what was sent is left alone"


@pytest.mark.parametrize("identifier", [None, PLACEHOLDER_ID])
def test_no_id_and_a_placeholder_are_the_same(identifier: str | None) -> None:
    assert "id" not in accepted({"role": "user", "content": "Hi", "id": identifier}, "items[0]")
    assert PLACEHOLDER_ID == FAKE_RESPONSES_ID


@settings(deadline=None)
@given(messages())
def test_accepting_again_changes_nothing(item: JsonObject) -> None:
    once = accepted(item, "items[0]")
    assert accepted(once, "items[0]") == once


USER: JsonObject = {"role": "user", "content": "Hi"}
CALL: JsonObject = {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"}
OUTPUT: JsonObject = {"type": "function_call_output", "call_id": "c", "output": "done"}


REFUSED: list[tuple[JsonObject, str]] = [
    ({}, "type"),
    ({"type": "poem"}, "type"),
    ({"type": 5, "role": "user", "content": ""}, "type"),
    ({"type": ["message"]}, "type"),
    ({"type": "item_reference", "id": "msg_1"}, "type"),
    ({"id": "msg_1"}, "type"),
    ({"role": "user"}, "content"),
    ({"type": "message", "content": "Hi"}, "role"),
    (USER | {"role": "tool"}, "role"),
    (USER | {"role": {}}, "role"),
    (USER | {"status": "done"}, "status"),
    (USER | {"id": 5}, "id"),
    (USER | {"id": ""}, "id"),
    (USER | {"id": "a b"}, "id"),
    (USER | {"id": "x" * 129}, "id"),
    (USER | {"content": None}, "content"),
    (USER | {"content": {}}, "content"),
    (USER | {"content": ["Hi"]}, "content[0].type"),
    (USER | {"content": [{"type": "input_text", "text": "a"}, {"text": "b"}]}, "content[1].type"),
    (USER | {"content": [{"type": "input_text"}]}, "content[0].text"),
    (USER | {"content": [{"type": "input_text", "text": 5}]}, "content[0].text"),
    (USER | {"content": [{"type": "refusal", "text": "no"}]}, "content[0].refusal"),
    (USER | {"content": [{"type": "output_text", "text": "", "annotations": {}}]}, "content[0].annotations"),
    ({name: value for name, value in CALL.items() if name != "arguments"}, "arguments"),
    (CALL | {"arguments": {}}, "arguments"),
    (CALL | {"call_id": None}, "call_id"),
    (CALL | {"name": ["n"]}, "name"),
    ({"type": "function_call_output", "call_id": "c"}, "output"),
    (OUTPUT | {"output": None}, "output"),
    (OUTPUT | {"output": 5}, "output"),
    (OUTPUT | {"output": [{"type": "poem"}]}, "output[0].type"),
    (OUTPUT | {"call_id": 5}, "call_id"),
    ({"type": "reasoning"}, "summary"),
    ({"type": "mcp_call", "arguments": "{}", "name": "n"}, "server_label"),
]


@pytest.mark.parametrize(("item", "param"), REFUSED)
def test_another_shape_is_refused(item: JsonObject, param: str) -> None:
    with pytest.raises(InvalidOpenAIItemError) as refused:
        accepted_items([USER, item])
    assert refused.value.extra == {"param": f"items[1].{param}"}
    assert f"'items[1].{param}'" in refused.value.detail
