"""The errors in an app's OpenAPI document: derived from what each operation has, not repeated route by route.

What every operation with a token, a parameter or a body can answer is known here. What a path or query parameter of a
certain name brings with it (an unknown conversation, a foreign cursor) a service says once, for all its routes.
Conflicts, and what else one route alone can answer, stand at that route: `responses=raises(ItemConflictError)`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI

from contracts.conversations import JsonObject
from contracts.problems import PROBLEM_MEDIA_TYPE, Problem
from service_kit.principal import ScopeMissingError, TokenExpiredError, TokenInvalidError, TokenMissingError
from service_kit.problems import (
    InvalidRequestError,
    PayloadTooLargeError,
    ProblemError,
    ServiceUnavailableError,
)

METHODS = frozenset({"get", "put", "post", "delete", "patch"})

_HEADERS: dict[int, tuple[str, str]] = {
    401: ("WWW-Authenticate", "How to authenticate (RFC 6750)."),
    429: ("Retry-After", "When to try again, in seconds."),
    503: ("Retry-After", "When to try again, in seconds."),
}
_GENERATED = ("HTTPValidationError", "ValidationError")
"""FastAPI's own error schemas, which nothing here answers with."""

ProblemTypes = Sequence[type[ProblemError]]
ErrorShape = Callable[[int, set[str]], tuple[int, JsonObject]]
"""Turns a problem's status and codes into the status and the response object of another protocol's error."""

TOKEN_ERRORS: ProblemTypes = (TokenMissingError, TokenInvalidError, TokenExpiredError)


@dataclass(frozen=True)
class OperationErrors:
    """What an app's operations may answer: all that need a token, and those that have a parameter of some name.

    `shapes` are the paths, by prefix, whose errors are no problem details.
    """

    secured: ProblemTypes = (*TOKEN_ERRORS, ScopeMissingError, ServiceUnavailableError)
    by_parameter: Mapping[str, ProblemTypes] = field(default_factory=dict[str, ProblemTypes])
    shapes: Mapping[str, ErrorShape] = field(default_factory=dict[str, ErrorShape])


def raises(*errors: type[ProblemError]) -> dict[int | str, dict[str, Any]]:
    """Document problems, for the `responses=` of a route or a router."""
    return {status: problem_document(status, codes) for status, codes in _codes_by_status(errors).items()}


def problem_document(status: int, codes: Iterable[str] = ()) -> JsonObject:
    """Describe one error response; without codes, any may come."""
    known = sorted(set(codes))
    schema: JsonObject = {"$ref": "#/components/schemas/Problem"}
    if known:
        told = {"status": {"const": status}, "code": {"enum": known}}
        schema = {"allOf": [schema, {"type": "object", "properties": told}]}
    document: JsonObject = {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(known)}." if known else HTTPStatus(status).phrase,
        "content": {PROBLEM_MEDIA_TYPE: {"schema": schema}},
    }
    if status in _HEADERS:
        name, description = _HEADERS[status]
        document["headers"] = {name: {"description": description, "schema": {"type": "string"}}}
    return document


def codes_of(response: JsonObject) -> set[str]:
    """Return the codes that `problem_document` put into a response; none if any may come."""
    schema = response.get("content", {}).get(PROBLEM_MEDIA_TYPE, {}).get("schema", {})
    return {
        code for part in schema.get("allOf", ()) for code in part.get("properties", {}).get("code", {}).get("enum", ())
    }


def install_openapi(app: FastAPI, errors: OperationErrors) -> None:
    """Let the app's document tell all errors."""
    without_errors = app.openapi

    def openapi() -> JsonObject:
        if app.openapi_schema is None:
            document = without_errors()
            _add_problems(document, errors)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi


def operations(document: JsonObject) -> Iterator[tuple[str, str, JsonObject]]:
    """Yield path, method and operation object of each operation in a document."""
    for path, item in document["paths"].items():
        for method in METHODS & cast(JsonObject, item).keys():
            yield path, method, item[method]


def _add_problems(document: JsonObject, rules: OperationErrors) -> None:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _GENERATED:
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema()
    for path, _, operation in operations(document):
        responses = operation["responses"]
        if "application/json" in responses.get("422", {}).get("content", {}):
            del responses["422"]
        for status, codes in _codes_by_status(_errors_of(operation, rules)).items():
            declared = responses.get(str(status))
            own = codes_of(declared) if declared else set[str]()
            if own or not declared:
                responses[str(status)] = problem_document(status, codes | own)
        for prefix, shape in rules.shapes.items():
            if path.startswith(prefix):
                responses = dict(_shaped(responses, shape))
        operation["responses"] = dict(sorted(responses.items()))


def _errors_of(operation: JsonObject, rules: OperationErrors) -> Iterator[type[ProblemError]]:
    parameters = [parameter["name"] for parameter in operation.get("parameters", ())]
    if "security" in operation:
        yield from rules.secured
    if parameters or "requestBody" in operation:
        yield InvalidRequestError
    if "requestBody" in operation:
        yield PayloadTooLargeError
    for name in parameters:
        yield from rules.by_parameter.get(name, ())


def _shaped(responses: JsonObject, shape: ErrorShape) -> Iterator[tuple[str, JsonObject]]:
    for status, response in responses.items():
        if PROBLEM_MEDIA_TYPE in response.get("content", {}):
            told, response = shape(int(status), codes_of(response))
            yield str(told), response
        else:
            yield status, response


def _codes_by_status(errors: Iterable[type[ProblemError]]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for error in errors:
        found.setdefault(error.status, set()).add(error.code)
    return found
