"""What the routes have in common: how ids look in a path, and how answers are documented."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel
from starlette.convertors import Convertor, register_url_convertor

from contracts.pages import DEFAULT_PAGE_LIMIT, MAX_PAGE_LIMIT, Order
from contracts.search import QUERY_MAX_LENGTH
from gateway.dependencies import SESSION_SECURITY, CallerRoute, SessionRoute
from service_kit.openapi import problem_document

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


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document problems whose codes the service behind the route knows."""
    return {status: problem_document(status) for status in statuses}


def event_stream(description: str) -> dict[str, Any]:
    """Document an answer of server-sent events."""
    return {"description": description, "content": {"text/event-stream": {"schema": {}}}}


def json_body(model: type[BaseModel] | None = None, *, required: bool = True) -> dict[str, Any]:
    """Document a JSON body that FastAPI does not read: the service behind the route does, or the route itself."""
    schema = model.model_json_schema() if model else {"type": "object"}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def page_query(
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_LIMIT)] = DEFAULT_PAGE_LIMIT,
    after: Annotated[str | None, Query(description="The `after` of the page before.")] = None,
    order: Annotated[Order | None, Query()] = None,
) -> None:
    """Document the query of a list."""


def search_query(
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=QUERY_MAX_LENGTH,
            description='Words, `or` between words, `"a phrase"`, `-` before a word that shall be missing.',
        ),
    ],
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_LIMIT)] = DEFAULT_PAGE_LIMIT,
    after: Annotated[str | None, Query(description="The `after` of the page before.")] = None,
) -> None:
    """Document the query of a search."""


def create_router(tag: str, *, sessions: bool = False) -> APIRouter:
    """Make a router for one resource of a user's; with `sessions`, its routes are open to ChatKit sessions as well."""
    if sessions:
        return APIRouter(prefix=USER_PATH, tags=[tag], route_class=SessionRoute, dependencies=[SESSION_SECURITY])
    return APIRouter(prefix=USER_PATH, tags=[tag], route_class=CallerRoute)


ObjectId = Annotated[str, Path(pattern=f"^{IdConvertor.regex}$")]
