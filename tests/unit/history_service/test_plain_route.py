"""Routes called without FastAPI's handler: which ones are, and that nobody can tell."""

import json
from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Body, Depends, FastAPI, Form, Path, Query, Request
from fastapi.routing import APIRoute, request_response
from pydantic import BaseModel, Field
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from history_service.json_route import JsonRoute
from history_service.plain_route import plain_app
from history_service.routes import conversations, items, runs, work
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


async def ask(app: ASGIApp, target: str, headers: dict[str, str], body: bytes | None = None) -> tuple[int, str, str]:
    """Return status, media type and body of what a route's app answers within a service's app."""
    service = FastAPI()
    install_problem_handlers(service)
    route = APIRoute(THING, plain, methods=["GET", "POST"])
    route.app = app
    service.router.routes.append(route)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url="http://test") as http:
        answer = await http.request("GET" if body is None else "POST", target, headers=headers, content=body)
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


class Part(BaseModel):
    name: str = Field(max_length=5)
    made_at: datetime | None = None


class Stored(BaseModel):
    """More than the answer's model has is not told."""

    id: str
    part: Part


class Secret(Stored):
    secret: str = "hidden"


async def with_a_body(thing_id: Id, part_id: Id, part: Part, who: Annotated[str, Depends(caller)]) -> Stored:
    if part.name == "none":
        raise ProblemError("No such part.")
    return Secret(id=f"{who} {thing_id} {part_id}", part=part)


async def without_an_answer(thing_id: Id, part_id: Id, part: Part, who: Annotated[str, Depends(caller)]) -> None:
    pass


JSON = {"content-type": "application/json"}
ANN = {"x-caller": "ann"}
PLACE, BAD_PLACE = "/things/a/parts/b", "/things/A/parts/1"
GOOD = b'{"name": "nut", "made_at": "2026-01-01T00:00:00+01:00"}'


@pytest.mark.parametrize(("endpoint", "status"), [(with_a_body, 201), (with_a_body, None), (without_an_answer, 204)])
@pytest.mark.parametrize(
    ("target", "headers", "body", "expected"),
    [
        (PLACE, JSON, GOOD, 200),
        (PLACE, {"content-type": "application/json; charset=utf-8"}, GOOD, 200),
        (PLACE, {"content-type": "application/vnd.x+json"}, GOOD, 200),
        (PLACE, {"content-type": "text/plain"}, GOOD, 422),
        (PLACE, {"content-type": "text/json"}, GOOD, 422),
        (PLACE, {}, GOOD, 422),
        (BAD_PLACE, JSON, GOOD, 422),
        (BAD_PLACE, JSON, b'{"name": 7}', 422),
        *((PLACE, JSON, body, 422) for body in (b"", b"null", b"[]", b'"x"', b"{}", b"{", b"\xff", b'{"name": 7}')),
        *(
            (PLACE, JSON, body, 422)
            for body in (b'{"name": "longer"}', b'{"name": "a", "name": "b"}', b'{"name": NaN}')
        ),
    ],
)
async def test_a_route_with_a_body_answers_as_fastapi_does(
    endpoint: Callable[..., Any],
    status: int | None,
    target: str,
    headers: dict[str, str],
    body: bytes,
    expected: int,
) -> None:
    route = JsonRoute(THING, endpoint, methods=["POST"], status_code=status)
    by_fastapi = FastAPIJsonRoute(THING, endpoint, methods=["POST"], status_code=status).app
    answer = await ask(route.app, target, ANN | headers, body)
    assert answer == await ask(by_fastapi, target, ANN | headers, body)
    assert answer[0] == (status or 200 if expected == 200 else expected)
    if answer[0] < 204:
        assert json.loads(answer[2])["part"] == {"name": "nut", "made_at": "2026-01-01T00:00:00+01:00"}
        assert "hidden" not in answer[2]


class FastAPIJsonRoute(JsonRoute):
    """The same route, never called directly."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.app = request_response(self.get_route_handler())


async def test_what_the_endpoint_says_of_a_body_reaches_the_handlers() -> None:
    answer = await ask(JsonRoute(THING, with_a_body, methods=["POST"]).app, PLACE, ANN | JSON, b'{"name": "none"}')
    assert (answer[0], "No such part." in answer[2]) == (500, True)


@pytest.mark.parametrize("body", [GOOD, b"{", b"", b'{"name": 7}'])
async def test_who_may_not_ask_is_not_told_what_is_wrong_with_the_body(body: bytes) -> None:
    answers = [
        await ask(JsonRoute(THING, with_a_body, methods=["POST"]).app, target, JSON, body)
        for target in (PLACE, BAD_PLACE)
    ]
    assert all(status == 500 and "Who is asking?" in text for status, _, text in answers)


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


async def a_body_that_is_no_model(thing_id: Id, part_id: Id, body: dict[str, str]) -> Response:
    return Response()


async def two_bodies(thing_id: Id, part_id: Id, one: Part, other: Part) -> Response:
    return Response()


async def an_embedded_body(thing_id: Id, part_id: Id, part: Annotated[Part, Body(embed=True)]) -> Response:
    return Response()


async def a_body_that_may_be_missing(thing_id: Id, part_id: Id, part: Part | None = None) -> Response:
    return Response()


async def a_form(thing_id: Id, part_id: Id, part: Annotated[Part, Form()]) -> Response:
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
        *(a_query, the_request, no_response, no_coroutine),
        *(a_body_that_is_no_model, two_bodies, an_embedded_body, a_body_that_may_be_missing, a_form),
        *map(depending, (nested, in_a_thread, with_an_end, asks_for_a_query)),
        depending(caller, 1),
    ],
)
def test_what_needs_more_is_left_to_fastapi(endpoint: Callable[..., Any]) -> None:
    assert plain_app(APIRoute(THING, endpoint)) is None


def test_a_dependency_of_the_route_alone_is_left_to_fastapi() -> None:
    assert plain_app(APIRoute(THING, plain, dependencies=[Depends(caller)])) is None


@pytest.mark.parametrize(
    "options",
    [
        {"response_model_exclude_none": True},
        {"response_model_exclude": {"secret"}},
        {"response_class": PlainTextResponse},
        {"response_model": Secret},
    ],
)
def test_an_answer_that_is_not_just_its_model_is_left_to_fastapi(options: dict[str, Any]) -> None:
    assert plain_app(APIRoute(THING, with_a_body, methods=["POST"], **options)) is None


def test_the_busiest_routes_are_plain() -> None:
    """What makes them more than that costs every caller; it may be worth it, but is not to happen unnoticed."""
    routers = (items, conversations, runs, work)
    routes = [route for each in routers for route in each.router.routes if isinstance(route, APIRoute)]
    served = {route.endpoint for route in routes if plain_app(route)}
    assert served >= {items.list_items, items.get_item, items.list_messages}
    assert served >= {conversations.get_conversation, conversations.put_conversation}
    assert served >= {runs.create_run, runs.get_run, runs.cancel_run}
    assert served >= {work.claim_runs, work.heartbeat, work.release_run, work.put_run_items, work.finish_run}
