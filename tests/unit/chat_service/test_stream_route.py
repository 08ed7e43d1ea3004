"""Routes whose answers may be streams: served as FastAPI serves any, but for when their dependencies end."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from chat_service.stream_route import StreamRoute
from service_kit.problems import ProblemError, install_problem_handlers


class _Noted(Response):
    """Notes when it is sent."""

    def __init__(self, notes: list[str]) -> None:
        super().__init__(b"answer")
        self._notes = notes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send."""
        self._notes.append("sent")
        await super().__call__(scope, receive, send)


def _client(route_class: type[APIRoute], notes: list[str]) -> httpx.AsyncClient:
    async def lend() -> AsyncGenerator[str]:
        yield "lent"
        notes.append("given back")

    router = APIRouter(route_class=route_class)

    @router.get("/{number}")
    async def get_it(number: int, lent: Annotated[str, Depends(lend)]) -> Response:  # pyright: ignore[reportUnusedFunction]
        if number == 0:
            raise ProblemError(lent)
        if number == 2:
            raise ClientDisconnect()
        if number == 3:
            raise asyncio.CancelledError
        return _Noted(notes)

    app = FastAPI()
    app.router.routes[:0] = router.routes
    install_problem_handlers(app)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")


@pytest.mark.parametrize(
    ("route_class", "order"), [(StreamRoute, ["given back", "sent"]), (APIRoute, ["sent", "given back"])]
)
async def test_dependencies_end_before_the_answer_is_sent(route_class: type[APIRoute], order: list[str]) -> None:
    notes: list[str] = []
    async with _client(route_class, notes) as client:
        answer = await client.get("/1")
    assert (answer.status_code, answer.content, notes) == (200, b"answer", order)


@pytest.mark.parametrize("route_class", [StreamRoute, APIRoute])
async def test_errors_are_those_of_any_route(route_class: type[APIRoute]) -> None:
    async with _client(route_class, []) as client:
        failed, invalid, wrong = await client.get("/0"), await client.get("/x"), await client.post("/1")
    assert (failed.status_code, failed.json()["detail"]) == (500, "lent")
    assert (invalid.status_code, invalid.json()["code"]) == (422, "invalid_request")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")


async def test_a_client_that_leaves_within_its_body_is_no_failure() -> None:
    async with _client(StreamRoute, []) as client:
        with capture_logs() as logs:
            answer = await client.get("/2")
    assert (answer.status_code, answer.json()["code"], logs) == (422, "invalid_request", [])


async def test_who_still_waits_when_the_service_stops_is_told_to_come_again() -> None:
    async with _client(StreamRoute, []) as client:
        answer = await client.get("/3")
    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")
    assert answer.headers["retry-after"] == "1"
