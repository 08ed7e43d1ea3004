"""What the routes have in common: how ids look in a path, and how answers are documented."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel
from starlette.convertors import Convertor, register_url_convertor

from contracts.pages import DEFAULT_PAGE_LIMIT, MAX_PAGE_LIMIT, Order
from contracts.problems import PROBLEM_MEDIA_TYPE, Problem
from gateway.dependencies import CallerRoute

USER_PATH = "/api/{user_id}"


class IdConvertor(Convertor[str]):
    """An id in a path: nothing that a path could be bent with. Anything else is no route of ours."""

    regex = "[A-Za-z0-9_-]{1,128}"

    def convert(self, value: str) -> str:
        """Return the id."""
        return value

    def to_string(self, value: str) -> str:
        """Return the id."""
        return value


register_url_convertor("id", IdConvertor())

_PROBLEMS = {
    401: "No valid token.",
    403: "Somebody else's.",
    404: "Unknown.",
    413: "The body is too large.",
    422: "Not the documented shape.",
    429: "Too many requests.",
    502: "A service gave no proper answer.",
    503: "A service cannot be reached.",
    504: "A service took too long.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document the problems that a route may answer with, besides those that every route has."""
    content = {PROBLEM_MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
    every = {401, 403, 502, 503, 504, *statuses}
    return {status: {"description": _PROBLEMS[status], "content": content} for status in sorted(every)}


def event_stream(description: str) -> dict[str, Any]:
    """Document an answer of server-sent events."""
    return {"description": description, "content": {"text/event-stream": {"schema": {"type": "string"}}}}


def json_body(model: type[BaseModel] | None = None) -> dict[str, Any]:
    """Document a JSON body. The service behind the route reads it, not the gateway."""
    schema = model.model_json_schema() if model else {"type": "object"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def page_query(
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_LIMIT)] = DEFAULT_PAGE_LIMIT,
    after: Annotated[str | None, Query(description="The `after` of the page before.")] = None,
    order: Annotated[Order | None, Query()] = None,
) -> None:
    """Document the query of a list."""


def create_router(tag: str) -> APIRouter:
    """Make a router for one resource of a user's."""
    return APIRouter(prefix=USER_PATH, tags=[tag], route_class=CallerRoute)


ObjectId = Annotated[str, Path(pattern=f"^{IdConvertor.regex}$")]
