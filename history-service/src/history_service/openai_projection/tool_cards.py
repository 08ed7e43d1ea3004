"""The card that shows a tool call in ChatKit: what it does, on what, and a badge."""

import json
from collections.abc import Mapping
from typing import cast

from contracts.conversations import JsonObject, ToolCall, ToolCallStatus
from history_service.domain import unstorable

_BADGES: Mapping[ToolCallStatus, tuple[str, str]] = {
    "in_progress": ("Running", "info"),
    "completed": ("Success", "success"),
    "failed": ("Failed", "danger"),
}
"""Label and ChatKit colour token."""

_DETAIL_LENGTH = 80


def arguments_of(text: str) -> JsonObject:
    """Parse a call's arguments; a model can write what is no JSON object, or one that Postgres cannot keep: then {}."""
    try:
        arguments: object = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(arguments, dict) or unstorable(cast(JsonObject, arguments)) is not None:
        return {}
    return cast(JsonObject, arguments)


def tool_card(call: ToolCall) -> JsonObject:
    """Return the widget of a tool call (`chatkit.widgets.Card`)."""
    label, color = _BADGES[call.status]
    children: list[JsonObject] = [
        {"type": "Icon", "name": "bolt", "size": "sm"},
        {"type": "Text", "value": _title(call), "size": "sm", "weight": "semibold"},
    ]
    if detail := _detail(call):
        children.append({"type": "Caption", "value": detail, "truncate": True})
    children.append({"type": "Spacer"})
    children.append({"type": "Badge", "label": label, "color": color, "variant": "soft", "pill": True})
    return {
        "type": "Card",
        "size": "sm",
        "children": [{"type": "Row", "gap": 2, "align": "center", "children": children}],
    }


def tool_text(call: ToolCall) -> str:
    """Return the card in words, for copying."""
    detail = _detail(call)
    subject = f"{_title(call)} “{detail}”" if detail else _title(call)
    return f"{subject}: {_BADGES[call.status][0]}"


def _title(call: ToolCall) -> str:
    return call.name.replace("_", " ").capitalize()


def _detail(call: ToolCall) -> str:
    text = next((value for value in call.arguments.values() if isinstance(value, str) and value), "")
    return text if len(text) <= _DETAIL_LENGTH else text[: _DETAIL_LENGTH - 1] + "…"
