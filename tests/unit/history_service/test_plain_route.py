"""Routes called without FastAPI's handler: which ones are, and that nobody can tell."""

from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import ASGIApp

from history_service.plain_route import plain_app
from history_service.routes import attachments, conversations, items, openai_items, runs
from service_kit.problems import ProblemError, install_problem_handlers

THING = "/things/{thing_id}/parts/{part_id}"
Id = Annotated[str, Path(pattern="^[a-z]+$")]


async def caller(request: Request) -> str:
    if "x-caller" not in request.headers:
        raise ProblemError("Who is asking?")
    return request.headers["x-caller"]


class Limit:
    async def __call__(self, asked: Request) -> int:
        return int(asked.query_params.get("limit", "7"))


async def plain(
    thing_id: Id, who: Annotated[str, Depends(caller)], limit: Annotated[int, Depends(Limit())], part_id: Id
) -> Response:
    return Response(f"{who} {thing_id} {part_id} {limit}", 202)


async def ask(app: ASGIApp, target: str, headers: dict[str, str]) -> tuple[int, str, str]:
    """Return status, media type and body of what a route's app answers within a service's app."""
    service = FastAPI()
    install_problem_handlers(service)
    route = APIRoute(THING, plain, methods=["GET"])
    route.app = app
    service.router.routes.append(route)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url="http://test") as http:
        answer = await http.get(target, headers=headers)
    return answer.status_code, answer.headers.get("content-type", ""), answer.text


@pytest.mark.parametrize("headers", [{"x-caller": "ann"}, {}])
@pytest.mark.parametrize(
    "target", ["/things/a/parts/b", "/things/a/parts/b?limit=3", "/things/A/parts/1", "/things/a/parts/1"]
)
async def test_a_plain_route_answers_as_fastapi_does(target: str, headers: dict[str, str]) -> None:
    route = APIRoute(THING, plain)
    app = plain_app(route)
    assert app is not None
    answer = await ask(app, target, headers)
    assert answer == await ask(route.app, target, headers)
    assert answer[0] == (500 if not headers else 202 if target.startswith("/things/a/parts/b") else 422)


async def nested(request: Request, who: Annotated[str, Depends(caller)]) -> str:
    return who


def in_a_thread(request: Request) -> str:
    return ""


async def with_an_end(request: Request) -> AsyncGenerator[str]:
    yield ""


async def asks_for_a_query(request: Request, limit: int) -> int:
    return limit


async def a_query(thing_id: Id, part_id: Id, limit: Annotated[int, Query()]) -> Response:
    return Response()


async def a_body(thing_id: Id, part_id: Id, body: dict[str, str]) -> Response:
    return Response()


async def the_request(thing_id: Id, part_id: Id, request: Request) -> Response:
    return Response()


async def no_response(thing_id: Id, part_id: Id) -> dict[str, str]:
    return {}


def no_coroutine(thing_id: Id, part_id: Id) -> Response:
    return Response()


def depending(dependency: Callable[..., Any], max_concurrency: int | None = None) -> Callable[..., Any]:
    limited = Depends(dependency, max_concurrency=max_concurrency)

    async def endpoint(thing_id: Id, part_id: Id, value: Annotated[Any, limited]) -> Response:
        return Response()

    return endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        *(a_query, a_body, the_request, no_response, no_coroutine),
        *map(depending, (nested, in_a_thread, with_an_end, asks_for_a_query)),
        depending(caller, 1),
    ],
)
def test_what_needs_more_is_left_to_fastapi(endpoint: Callable[..., Any]) -> None:
    assert plain_app(APIRoute(THING, endpoint)) is None


def test_a_dependency_of_the_route_alone_is_left_to_fastapi() -> None:
    assert plain_app(APIRoute(THING, plain, dependencies=[Depends(caller)])) is None


def test_the_busiest_reads_are_plain() -> None:
    """What makes them more than that costs every reader; it may be worth it, but is not to happen unnoticed."""
    routers = (items, attachments, conversations, openai_items, runs)
    routes = [route for each in routers for route in each.router.routes if isinstance(route, APIRoute)]
    served = {route.endpoint for route in routes if plain_app(route)}
    assert served == {items.list_items, items.get_item}
