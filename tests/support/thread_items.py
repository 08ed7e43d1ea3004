"""Hypothesis strategies for ChatKit thread items: all kinds, all fields, made from ChatKit's own types."""

import string
from datetime import UTC, datetime
from typing import Any, cast, get_args

from chatkit.types import ThreadItem
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.conversations import JsonObject, MessageKind

KINDS: tuple[MessageKind, ...] = get_args(MessageKind)
DEPTH = 12
"""From here on an item's JSON grows no deeper than it must; the service stores 64 levels."""

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
"""Whatever Postgres can keep; characters beyond the basic plane too."""

numbers = st.one_of(
    st.integers(),
    st.integers(-(10**80), 10**80),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -0.0, 1.0, 5e-324, 1e300, 2**53 + 1]),
)

anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)

_moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)) | st.datetimes(timezones=st.just(UTC))  # noqa: DTZ001
_uris = st.text(string.ascii_letters + string.digits, min_size=1).map(lambda path: f"https://files.example/{path}")
_FORMATS = {"date-time": _moments.map(datetime.isoformat), "uri": _uris}


class _Reader:
    """Draws values that a JSON schema allows, as far as ChatKit's types need it."""

    def __init__(self, draw: st.DrawFn, definitions: JsonObject) -> None:
        self._draw = draw
        self._definitions = definitions

    def value(self, schema: JsonObject, depth: int = 0) -> Any:
        """Draw a value."""
        if "$ref" in schema:
            return self.value(self._definitions[schema["$ref"].rpartition("/")[2]], depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._draw(st.sampled_from(schema["enum"]))
        if options := schema.get("anyOf") or schema.get("oneOf"):
            return self.value(self._option(options, depth), depth)
        match schema.get("type"):
            case "object":
                return self._object(schema, depth)
            case "array":
                count = 0 if depth >= DEPTH else self._draw(st.integers(schema.get("minItems", 0), 2))
                return [self.value(schema["items"], depth + 1) for _ in range(count)]
            case kind:
                return self._draw(self._scalar(kind, schema))

    def _option(self, options: list[JsonObject], depth: int) -> JsonObject:
        flat = [option for option in options if option.get("type") in {"null", "string", "array", "number", "integer"}]
        return self._draw(st.sampled_from((flat or options) if depth >= DEPTH else options))

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        properties: JsonObject = schema.get("properties", {})
        if not properties:
            inner = schema.get("additionalProperties")
            if depth >= DEPTH or not isinstance(inner, dict):
                return self._draw(st.dictionaries(texts, anything, max_size=0 if depth >= DEPTH else 3))
            keys = self._draw(st.lists(texts, max_size=2, unique=True))
            return {key: self.value(cast(JsonObject, inner), depth + 1) for key in keys}
        wanted = {"type", "children", *schema.get("required", [])}
        optional = sorted(properties.keys() - wanted)
        if optional and depth < DEPTH:
            wanted |= self._draw(st.sets(st.sampled_from(optional), max_size=4))
        drawn = {name: self.value(properties[name], depth + 1) for name in properties if name in wanted}
        if schema.get("additionalProperties") is True and depth < DEPTH:
            drawn |= self._draw(st.dictionaries(texts.map(lambda text: f"x-{text}"), anything, max_size=1))
        return drawn

    def _scalar(self, kind: str | None, schema: JsonObject) -> st.SearchStrategy[Any]:
        match kind:
            case None:
                return anything
            case "null":
                return st.none()
            case "boolean":
                return st.booleans()
            case "integer":
                return st.integers(-(2**53), 2**53)
            case "number":
                return numbers
            case "string" if "pattern" in schema:
                matching = cast("st.SearchStrategy[str]", st.from_regex(schema["pattern"], fullmatch=True))
                return matching.filter(lambda text: "\0" not in text)
            case "string":
                plain = texts.filter(bool) if schema.get("minLength") else texts
                return _FORMATS.get(schema.get("format", ""), plain)
            case _:
                raise NotImplementedError(schema)


_SCHEMA: JsonObject = TypeAdapter[Any](ThreadItem).json_schema()
_ITEM: TypeAdapter[ThreadItem] = TypeAdapter(ThreadItem)


@st.composite
def item_payloads(draw: st.DrawFn, kind: MessageKind, conversation_id: str, item_id: str) -> JsonObject:
    """Draw the JSON of a thread item of that kind, valid for ChatKit."""
    drawn = _Reader(draw, _SCHEMA["$defs"]).value({"$ref": _SCHEMA["discriminator"]["mapping"][kind]})
    return drawn | {"id": item_id, "thread_id": conversation_id, "type": kind}


def thread_item(payload: JsonObject) -> ThreadItem:
    """Return the item as the ChatKit SDK has it. Raises pydantic.ValidationError."""
    return _ITEM.validate_python(payload)
