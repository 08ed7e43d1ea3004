"""Operations as an OpenAPI document lists them, and requests made from nothing but the document and known values."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from chatkit.types import ChatKitReq
from pydantic import TypeAdapter

from contracts.conversations import JsonObject
from contracts.problems import PROBLEM_MEDIA_TYPE
from service_kit.openapi import codes_of, operations

JSON = "application/json"
BYTES = "application/octet-stream"
CONTENT = b"abc"


@dataclass
class Examples:
    """Makes the smallest value that a schema allows. A member with a known name is always there, with that value."""

    definitions: JsonObject
    known: Mapping[str, Any]
    used: set[str] = field(default_factory=set[str])
    """Names of the known values that were put in."""

    def of(self, schema: JsonObject) -> Any:
        """Return an example. Raises NotImplementedError for a schema that is not understood."""
        if "$ref" in schema:
            return self.of(self.definitions[schema["$ref"].rpartition("/")[2]])
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        if options := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
            return self.of(options[0])
        match schema.get("type"):
            case "object":
                return self._object(schema)
            case "array":
                return [self.of(schema["items"]) for _ in range(schema.get("minItems", 0))]
            case "string":
                return (
                    "2026-11-01T10:00:00Z" if schema.get("format") == "date-time" else "x" * schema.get("minLength", 1)
                )
            case "integer" | "number":
                return schema.get("minimum", 1)
            case "boolean":
                return True
            case None | "null":
                return None
            case kind:
                raise NotImplementedError(f"no example of {kind}")

    def _object(self, schema: JsonObject) -> JsonObject:
        properties: JsonObject = schema.get("properties", {})
        made: JsonObject = {}
        for name, member in properties.items():
            if name in self.known:
                self.used.add(name)
                made[name] = self.known[name]
            elif name in schema.get("required", ()) or "const" in member:
                made[name] = self.of(member)
        return made


@dataclass(frozen=True)
class Operation:
    """One operation of a document."""

    method: str
    path: str
    told: JsonObject
    document: JsonObject

    @property
    def name(self) -> str:
        """What it is called by in a report."""
        return f"{self.method} {self.path}"

    @property
    def is_open(self) -> bool:
        """Whether the document asks for no token."""
        return not self.told.get("security")

    @property
    def scope(self) -> str | None:
        """The scope that an internal token needs for it."""
        return next((scope for entry in self.told["security"] for found in entry.values() for scope in found), None)

    @property
    def path_parameters(self) -> list[str]:
        """Names, in no order."""
        return [entry["name"] for entry in self._parameters("path")]

    @property
    def has_cursor(self) -> bool:
        """Whether it lists behind a place that the caller names."""
        return any(entry["name"] == "after" for entry in self._parameters("query"))

    @property
    def _body_types(self) -> JsonObject:
        return self.told.get("requestBody", {}).get("content", {})

    @property
    def has_openai_errors(self) -> bool:
        """Whether its errors have OpenAI's shape and are no problem details."""
        return PROBLEM_MEDIA_TYPE not in self.told["responses"]["401"]["content"]

    def path_of(self, ids: Mapping[str, str]) -> str:
        """Return the path with the ids. Raises AssertionError for a parameter that no id is known of."""
        unknown = sorted(set(self.path_parameters) - ids.keys())
        assert not unknown, (
            f"{self.name}: nothing is stored whose id could stand for {', '.join(unknown)}. "
            "Let tests.support.belongings store something of that kind."
        )
        return self.path.format(**ids)

    def query_of(self, ids: Mapping[str, str]) -> dict[str, Any]:
        """Return the required parameters of the query."""
        return {entry["name"]: self._examples({}).of(entry["schema"]) for entry in self._parameters("query", True)}

    def bodies_of(self, known: Mapping[str, Any]) -> Iterator["Body"]:
        """Yield bodies that the schema allows: one; for a protocol's envelope, one of each request type.

        Raises AssertionError where neither the schema nor a known protocol tells what a body is.
        """
        if BYTES in self._body_types:
            yield Body({"content": CONTENT}, frozenset(), BYTES)
        elif JSON in self._body_types and (schema := self._body_types[JSON]["schema"]) != {"type": "object"}:
            yield self._body(schema, schema.get("$defs") or self.document["components"]["schemas"], known)
        elif self.path.endswith("/chatkit"):
            chatkit = chatkit_schema()
            for schema in chatkit["oneOf"]:
                yield self._body(schema, chatkit["$defs"], known)
        else:
            assert not self._body_types, f"{self.name}: its document does not tell what its body is"
            yield Body({}, frozenset(), "")

    def codes(self, status: int) -> set[str]:
        """Return the codes that the document tells of a status; none if any may come."""
        return codes_of(self.told["responses"].get(str(status), {}))

    def tells(self, status: int) -> bool:
        """Whether the document knows the status."""
        return str(status) in self.told["responses"]

    def _parameters(self, place: str, required: bool = False) -> Iterator[JsonObject]:
        for entry in self.told.get("parameters", ()):
            if entry["in"] == place and (entry.get("required") or not required):
                yield entry

    def _body(self, schema: JsonObject, definitions: JsonObject, known: Mapping[str, Any]) -> "Body":
        examples = Examples(definitions, known)
        body = examples.of(schema)
        return Body({"json": body}, frozenset(examples.used), str(body.get("type", "")))

    def _examples(self, known: Mapping[str, Any]) -> Examples:
        return Examples(self.document.get("components", {}).get("schemas", {}), known)


@dataclass(frozen=True)
class Body:
    """A request's body: httpx' arguments for it, the known members that it has, and what kind it is."""

    sent: JsonObject
    used: frozenset[str]
    kind: str


def operations_of(document: JsonObject) -> list[Operation]:
    """Return all operations of a document."""
    return [Operation(method.upper(), path, told, document) for path, method, told in operations(document)]


@cache
def chatkit_schema() -> JsonObject:
    """Return the schema of ChatKit's 16 request types, which the document of their route only names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of defaults that no JSON can hold
        return TypeAdapter[Any](ChatKitReq).json_schema()
