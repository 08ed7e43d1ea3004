"""Which other pages may use the gateway from a browser, and that a browser's cookies say nothing to it."""

from collections.abc import AsyncGenerator

import httpx
import pytest
from pydantic import ValidationError

from service_kit.openapi import METHODS
from tests.integration.gateway.conftest import Inside, StartGateway, bearer, secret_token

PAGE = "https://page.test"
STRANGERS = ["https://evil.test", "https://page.test.evil.test", "http://page.test", "https://page.test:8443", "null"]
REQUEST_HEADERS = [
    *("authorization", "content-type", "idempotency-key", "if-match", "if-none-match", "last-event-id"),
    *("traceparent", "tracestate", "x-request-id"),
]
"""All that the gateway reads or passes on, and that a browser asks for."""

READABLE = {"ratelimit", "ratelimit-policy", "retry-after", "x-run-id", "x-request-id"}


def preflight(origin: str, method: str = "POST", headers: str = "authorization") -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }


@pytest.fixture
async def client(start_gateway: StartGateway) -> AsyncGenerator[httpx.AsyncClient]:
    """A gateway that lets one other page in."""
    async with start_gateway(cors_allow_origins=PAGE) as started:
        yield started


async def test_a_listed_page_may_send_every_header_and_method_that_is_used(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    used = {method.upper() for operations in paths.values() for method in METHODS & operations.keys()}
    for method in used:
        answer = await client.options("/api/ann/chatkit", headers=preflight(PAGE, method, ",".join(REQUEST_HEADERS)))
        assert answer.status_code == 200, (method, answer.text)
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "Origin" in answer.headers["vary"]
        assert "access-control-allow-credentials" not in answer.headers
    refused = await client.options("/api/ann/chatkit", headers=preflight(PAGE, headers="x-user-id"))
    assert refused.status_code == 400


async def test_it_may_read_what_answers_say(client: httpx.AsyncClient) -> None:
    for token, status in ((secret_token(), 200), ("x.y.z", 401)):
        answer = await client.get("/api/ann/tasks", headers={**bearer(token), "Origin": PAGE})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "Origin" in answer.headers["vary"]
        assert "access-control-allow-credentials" not in answer.headers
        exposed = answer.headers["access-control-expose-headers"].lower().replace(" ", "")
        assert set(exposed.split(",")) >= READABLE


@pytest.mark.parametrize("origin", STRANGERS)
async def test_no_other_page_may(client: httpx.AsyncClient, origin: str) -> None:
    asked = await client.options("/api/ann/chatkit", headers=preflight(origin))
    read = await client.get("/api/ann/tasks", headers={**bearer(secret_token()), "Origin": origin})
    assert asked.status_code == 400
    for answer in (asked, read):
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origins", ["*", "null", "https://page.test/", "page.test", "https://*.page.test"])
async def test_what_is_no_origin_cannot_be_listed(start_gateway: StartGateway, origins: str) -> None:
    with pytest.raises(ValidationError, match="not an origin"):
        async with start_gateway(cors_allow_origins=origins):
            pass


async def test_cookies_and_addresses_carry_no_identity(client: httpx.AsyncClient, inside: Inside) -> None:
    """What a browser sends by itself opens nothing: a forged request of another site has no token."""
    token = secret_token()
    cookies = f"better-auth.session_token={token}; authorization=Bearer {token}; token={token}"
    for headers in ({"Cookie": cookies}, {"Cookie": cookies, "X-User-Id": "ann", "Origin": PAGE}):
        for path in ("/api/ann/tasks", f"/api/ann/tasks?access_token={token}&token={token}"):
            answer = await client.get(path, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")
            assert "set-cookie" not in answer.headers
    assert inside.seen == []
    await client.get("/api/ann/tasks", headers={**bearer(token), "Cookie": cookies})
    assert "cookie" not in inside.last.headers
