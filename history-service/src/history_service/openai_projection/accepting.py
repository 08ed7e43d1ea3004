"""What a client sends as an item: checked, and completed as OpenAI does (type, status, content as parts).

Everything else of the item is kept as it came, also members that are not known here.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from contracts.conversations import JsonObject
from history_service.domain import is_valid_id
from history_service.errors import InvalidOpenAIItemError
from history_service.openai_projection.ids import PLACEHOLDER_ID
from history_service.openai_projection.item_types import ITEM_TYPES

ROLES = ("user", "assistant", "system", "developer")
STATUSES = ("in_progress", "completed", "incomplete")

_TEXT_MEMBERS: Mapping[str, str] = {
    "input_text": "text",
    "output_text": "text",
    "text": "text",
    "summary_text": "text",
    "reasoning_text": "text",
    "refusal": "refusal",
}
"""Content parts that say something, and the member that says it."""

_OTHER_PARTS = frozenset({"input_image", "input_file", "input_audio", "computer_screenshot"})


def accepted_items(raw: Sequence[JsonObject]) -> list[JsonObject]:
    """Return the `items` of a request as they are to be stored. Raises InvalidOpenAIItemError."""
    return [accepted(item, f"items[{number}]") for number, item in enumerate(raw)]


def accepted(raw: JsonObject, param: str) -> JsonObject:
    """Return the item as it is to be stored; it has an `id` only if the client gave one.

    `param` is the item's path in the request. Raises InvalidOpenAIItemError.
    """
    item = {"type": _type_of(raw, param), **{name: value for name, value in raw.items() if name != "type"}}
    known = ITEM_TYPES[item["type"]]
    for member in known.required:
        if member not in item:
            raise InvalidOpenAIItemError(f"Missing required parameter: '{param}.{member}'.", f"{param}.{member}")
    _check_id(item, param)
    if known.has_status and item.get("status") is None:
        item["status"] = "completed"
    elif known.has_status:
        _one_of(item, "status", STATUSES, param)
    if item["type"] == "message":
        _one_of(item, "role", ROLES, param)
        item["content"] = _message_content(item, param)
    elif item["type"] == "function_call":
        for member in ("call_id", "name", "arguments"):
            _text(item, member, param)
    elif item["type"] == "function_call_output":
        _check_output(item, param)
    return item


def _type_of(raw: JsonObject, param: str) -> str:
    kind = raw.get("type")
    if kind is None and "role" in raw:
        return "message"
    if not isinstance(kind, str) or kind not in ITEM_TYPES:
        raise InvalidOpenAIItemError(
            f"Invalid value for '{param}.type'. Supported values are: {', '.join(ITEM_TYPES)}.", f"{param}.type"
        )
    return kind


def _check_id(item: JsonObject, param: str) -> None:
    if item.get("id") in (None, PLACEHOLDER_ID):
        item.pop("id", None)
    elif not isinstance(item["id"], str) or not is_valid_id(item["id"]):
        raise InvalidOpenAIItemError(f"Invalid value for '{param}.id': a malformed id.", f"{param}.id")


def _check_output(item: JsonObject, param: str) -> None:
    if item.get("call_id") is not None:
        _text(item, "call_id", param)
    output = item["output"]
    if not isinstance(output, str):
        item["output"] = _content_parts(output, param, "output")


def _message_content(item: JsonObject, param: str) -> list[JsonObject]:
    content = item["content"]
    if isinstance(content, str):
        content = [{"type": "output_text" if item["role"] == "assistant" else "input_text", "text": content}]
    return _content_parts(content, param, "content")


def _content_parts(value: object, param: str, member: str) -> list[JsonObject]:
    path = f"{param}.{member}"
    if not isinstance(value, list):
        raise InvalidOpenAIItemError(f"Invalid type for '{path}': expected a string or an array.", path)
    return [_part(part, f"{path}[{number}]") for number, part in enumerate(cast("list[object]", value))]


def _part(raw: object, param: str) -> JsonObject:
    part: JsonObject = dict(cast(JsonObject, raw)) if isinstance(raw, dict) else {}
    kind = part.get("type")
    if not isinstance(kind, str) or (kind not in _TEXT_MEMBERS and kind not in _OTHER_PARTS):
        raise InvalidOpenAIItemError(f"Invalid value for '{param}.type'.", f"{param}.type")
    if kind in _TEXT_MEMBERS:
        _text(part, _TEXT_MEMBERS[kind], param)
    if kind == "output_text" and part.get("annotations") is None:
        part["annotations"] = []
    elif kind == "output_text" and not isinstance(part["annotations"], list):
        raise InvalidOpenAIItemError(f"Invalid type for '{param}.annotations'.", f"{param}.annotations")
    if kind == "input_image" and part.get("detail") is None:
        part["detail"] = "auto"
    return part


def part_text(part: JsonObject) -> str:
    """Return what an accepted content part says; of a file or an image, that there is one."""
    kind = part["type"]
    if kind in _TEXT_MEMBERS:
        return part[_TEXT_MEMBERS[kind]]
    if kind == "input_file":
        name = part.get("filename")
        return f"[File: {name}]" if isinstance(name, str) and name else "[File]"
    return "[Audio]" if kind == "input_audio" else "[Image]"


def _text(owner: JsonObject, member: str, param: str) -> None:
    if not isinstance(owner.get(member), str):
        raise InvalidOpenAIItemError(f"Invalid type for '{param}.{member}': expected a string.", f"{param}.{member}")


def _one_of(item: JsonObject, member: str, values: tuple[str, ...], param: str) -> None:
    if item[member] not in values:
        raise InvalidOpenAIItemError(
            f"Invalid value for '{param}.{member}'. Supported values are: {', '.join(values)}.", f"{param}.{member}"
        )
