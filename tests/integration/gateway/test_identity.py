"""Who gets in: tokens of both forms, and how the issuer is asked for its keys. More: tests/security."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.integration.gateway.callers import GET, TOKEN, connection, problem_of
from tests.integration.gateway.conftest import Inside, Issuer, StartGateway, bearer, secret_token
from tests.support.servers import eventually, serve

PATH = "/api/ann/tasks"


@pytest.fixture(params=["EdDSA", "RS256", "ES256"])
def algorithm(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
async def issuer_url(issuer: Issuer) -> AsyncGenerator[str]:
    async with serve(issuer.app()) as url:
        yield url


async def _status(gateway: httpx.AsyncClient, token: str) -> int:
    return (await gateway.get(PATH, headers=bearer(token))).status_code


async def test_tokens_of_a_published_key_get_in(start_gateway: StartGateway, algorithm: str) -> None:
    issuer = Issuer(algorithm)
    async with (
        serve(issuer.app()) as url,
        start_gateway(jwt_algorithm=algorithm, better_auth_url=url, better_auth_secret=None) as gateway,
    ):
        assert await _status(gateway, issuer.token()) == 200
        assert await _status(gateway, Issuer(algorithm).token()) == 401


async def test_refusals_say_why(start_gateway: StartGateway, inside: Inside) -> None:
    async with start_gateway() as gateway:
        for token, code in (
            (secret_token(exp=1), "token_expired"),
            (secret_token("another-secret-of-more-than-32-bytes!"), "token_invalid"),
            ("a.b.c", "token_invalid"),
            ("x" * 9000, "token_invalid"),
        ):
            response = await gateway.get(PATH, headers=bearer(token))
            assert (response.status_code, response.json()["code"]) == (401, code)
            assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
            assert response.headers["content-type"] == "application/problem+json"
        basic = await gateway.get(PATH, headers={"Authorization": "Basic YW5uOng="})
        assert basic.json()["code"] == "token_missing"
        in_query = await gateway.get(f"{PATH}?access_token={secret_token()}")
        assert in_query.json()["code"] == "token_missing"
        in_cookie = await gateway.get(PATH, headers={"Cookie": f"better-auth.session_token={secret_token()}"})
        assert in_cookie.json()["code"] == "token_missing"
    assert inside.seen == []


async def test_an_internal_token_is_nothing_outside(start_gateway: StartGateway, inside: Inside) -> None:
    async with start_gateway() as gateway:
        assert await _status(gateway, secret_token()) == 200
        assert await _status(gateway, inside.last.headers["authorization"].removeprefix("Bearer ")) == 401


async def test_the_gateway_starts_without_its_issuer(
    start_gateway: StartGateway, issuer: Issuer, issuer_url: str
) -> None:
    issuer.down = True
    async with start_gateway(jwt_algorithm="EdDSA", better_auth_url=issuer_url) as gateway:
        assert (await gateway.get("/readyz")).status_code == 200
        refused = await gateway.get(PATH, headers=bearer(issuer.token()))
        assert (refused.status_code, refused.json()["code"]) == (503, "upstream_unavailable")
        assert refused.headers["retry-after"] == "1"
        issuer.down = False

        async def gets_in() -> bool:
            return await _status(gateway, issuer.token()) == 200

        await eventually(gets_in, seconds=5, what="the keys are found")


async def test_unknown_key_ids_cause_one_fetch_each_floor(
    start_gateway: StartGateway, issuer: Issuer, issuer_url: str
) -> None:
    async with start_gateway(jwt_algorithm="EdDSA", better_auth_url=issuer_url) as gateway:
        assert await _status(gateway, issuer.token()) == 200
        before = issuer.fetches
        statuses = await asyncio.gather(*(_status(gateway, issuer.token(key_id=f"odd-{n}")) for n in range(40)))
        assert set(statuses) == {401}
        assert issuer.fetches == before + 1
        assert await _status(gateway, issuer.token()) == 200


async def test_first_requests_share_one_fetch(start_gateway: StartGateway, issuer: Issuer, issuer_url: str) -> None:
    issuer.held = asyncio.Event()
    async with start_gateway(jwt_algorithm="EdDSA", better_auth_url=issuer_url) as gateway:
        requests = [asyncio.create_task(_status(gateway, issuer.token())) for _ in range(20)]
        await eventually(lambda: issuer.fetches > 0, what="the keys are asked for")
        assert (await gateway.get("/healthz")).status_code == 200
        issuer.held.set()
        assert set(await asyncio.gather(*requests)) == {200}
        assert issuer.fetches == 1


async def test_who_waits_for_a_key_when_the_gateway_stops_is_told_to_come_again(
    start_gateway: StartGateway, issuer: Issuer, issuer_url: str
) -> None:
    settings = {"jwt_algorithm": "EdDSA", "better_auth_url": issuer_url, "jwks_fetch_seconds": 30}
    unknown = GET.replace(TOKEN.encode(), issuer.token(key_id="key-2").encode())
    async with AsyncExitStack() as longer:
        async with start_gateway(**settings) as gateway:
            assert await _status(gateway, issuer.token()) == 200
            issuer.held = asyncio.Event()
            caller = await longer.enter_async_context(connection(gateway))
            caller.send(unknown)
            await eventually(lambda: issuer.fetches == 2, what="the key is looked for")
        issuer.held.set()
        assert problem_of(await caller.rest()) == (503, "upstream_unavailable")
