"""ChatKit sessions that are taken back: at one gateway or another, and while Redis is away."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from contracts.redis_keys import revoked_session_key, sessions_revoked_key
from launcher.ports import LOOPBACK
from tests.integration.gateway.conftest import USER, Inside, StartGateway, bearer, secret_token
from tests.integration.gateway.test_chatkit_sessions import CHATKIT, SESSION, create, problem
from tests.support.gate import gate_before
from tests.support.ports import free_port
from tests.support.servers import eventually

REVOKED = (401, "session_revoked")
NOT_NOW = (503, "upstream_unavailable")


async def revoke(client: httpx.AsyncClient, session_id: str | None = None, user_id: str = USER) -> httpx.Response:
    """Take back one session, or all, as the user."""
    path = f"/api/{user_id}/chatkit/session" + (f"/{session_id}" if session_id else "")
    return await client.delete(path, headers=bearer(secret_token(sub=user_id)))


async def use(client: httpx.AsyncClient, session: dict[str, Any]) -> httpx.Response:
    """Send a ChatKit request with the client secret."""
    return await client.post(session["chatkit_url"], headers=bearer(session["client_secret"]))


@asynccontextmanager
async def two_gateways(
    start: StartGateway, **changes: Any
) -> AsyncGenerator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    async with start(**changes) as one, start(**changes) as other:
        yield one, other


async def test_what_one_gateway_takes_back_the_other_refuses(start_gateway: StartGateway, inside: Inside) -> None:
    async with two_gateways(start_gateway, session_revocation_seconds=0) as (one, other):
        session, kept = await create(one), await create(one)
        assert (await use(one, session)).status_code == (await use(other, session)).status_code == 200
        for _ in range(2):
            answer = await revoke(other, session["session_id"])
            assert (answer.status_code, answer.content) == (204, b"")
        seen = len(inside.seen)
        for gateway in (one, other):
            refused = await use(gateway, session)
            assert problem(refused) == REVOKED
            assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert len(inside.seen) == seen
        assert (await use(one, kept)).status_code == 200


async def test_all_sessions_so_far_can_be_taken_back(start_gateway: StartGateway) -> None:
    async with two_gateways(start_gateway, session_revocation_seconds=0) as (one, other):
        sessions = [await create(one), await create(other, thread_id="thr_1")]
        somebody_elses = await create(one, "bob")
        assert (await revoke(other)).status_code == 204
        for session in sessions:
            assert problem(await use(one, session)) == REVOKED
        assert (await use(one, somebody_elses)).status_code == 200
        assert (await use(other, await create(one))).status_code == 200


async def test_nobody_takes_back_what_is_not_theirs(start_gateway: StartGateway) -> None:
    async with start_gateway(session_revocation_seconds=0) as client:
        session = await create(client)
        assert (await revoke(client, session["session_id"], "bob")).status_code == 204
        assert problem(await client.delete(SESSION, headers=bearer(secret_token(sub="bob")))) == (403, "user_mismatch")
        assert (await use(client, session)).status_code == 200


async def test_a_verified_session_is_trusted_for_a_stated_while(start_gateway: StartGateway) -> None:
    async with start_gateway(session_revocation_seconds=60) as trusting, start_gateway() as other:
        session = await create(trusting)
        assert (await use(trusting, session)).status_code == 200
        await revoke(other, session["session_id"])
        assert (await use(trusting, session)).status_code == 200
        assert problem(await use(other, session)) == REVOKED
    async with start_gateway(session_revocation_seconds=0.2) as client:
        session = await create(client)
        assert (await use(client, session)).status_code == 200
        await revoke(client, session["session_id"])

        async def is_refused() -> bool:
            return (await use(client, session)).status_code == 401

        await eventually(is_refused, what="the trust ends")


async def test_a_clock_that_is_set_back_prolongs_no_trust(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_gateway(session_revocation_seconds=0.2) as client:
        session = await create(client)
        assert (await use(client, session)).status_code == 200
        an_hour_ago = SimpleNamespace(time=lambda: time.time() - 3600, monotonic=time.monotonic)
        monkeypatch.setattr("gateway.identity.sessions.time", an_hour_ago)
        await revoke(client, session["session_id"])

        async def is_refused() -> bool:
            return (await use(client, session)).status_code == 401

        await eventually(is_refused, seconds=10, what="the trust ends")


async def test_a_revocation_is_kept_as_long_as_a_session_can_live(start_gateway: StartGateway, redis_url: str) -> None:
    async with (
        start_gateway(chatkit_session_seconds=100, jwt_leeway_seconds=5) as client,
        Redis.from_url(redis_url) as redis,
    ):
        await revoke(client, "cks_1")
        await revoke(client)
        for key in (revoked_session_key(USER, "cks_1"), sessions_revoked_key(USER)):
            assert 100 < await redis.ttl(key) <= 106


@pytest.mark.parametrize(("fail", "accepted"), [("open", True), ("closed", False)])
async def test_without_redis_sessions_go_on_or_wait(start_gateway: StartGateway, fail: str, accepted: bool) -> None:
    nobody = f"redis://{LOOPBACK}:{free_port()}/0"
    async with start_gateway(redis_url=nobody, session_revocation_fail=fail) as client:
        session = await create(client)
        response = await use(client, session)
        if accepted:
            assert response.status_code == 200
        else:
            assert problem(response) == NOT_NOW
            assert response.headers["retry-after"] == "1"
        # What cannot be noted is not acknowledged.
        for session_id in (session["session_id"], None):
            assert problem(await revoke(client, session_id)) == NOT_NOW
        # The user's own token needs no Redis.
        assert (await client.post(CHATKIT, headers=bearer(secret_token()))).status_code == 200
        assert (await client.get("/readyz")).status_code == 200


async def test_a_silent_redis_holds_nobody_up_for_long(start_gateway: StartGateway, redis_url: str) -> None:
    async with gate_before(redis_url) as gate:
        await gate.fall_silent()
        async with start_gateway(redis_url=gate.url, session_revocation_fail="closed") as client:
            session = await create(client)
            assert problem(await use(client, session)) == NOT_NOW


async def test_a_session_is_looked_up_again_once_redis_is_back(start_gateway: StartGateway, redis_url: str) -> None:
    async with gate_before(redis_url) as gate:
        changes = {"redis_url": gate.url, "session_revocation_seconds": 0}
        async with start_gateway(**changes) as client, start_gateway() as other:
            session = await create(client)
            await revoke(other, session["session_id"])
            assert (await use(client, session)).status_code == 200
            await gate.open()
            assert problem(await use(client, session)) == REVOKED
            await gate.close()
            assert (await use(client, session)).status_code == 200
