"""Requests per window: exact with one gateway, shared by several, and what comes while Redis is away.

Windows are days: no test can fall between two of them.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
import redis.asyncio as redis
from limits import parse

from gateway.errors import RateLimitedError
from gateway.limits.counters import SharedCounters
from gateway.limits.rates import PORTIONS, SharedRate
from gateway.resources import open_redis
from tests.integration.gateway.conftest import StartGateway, bearer, secret_token
from tests.support.servers import Condition, eventually
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

TASKS = "/api/ann/tasks"
ANN = bearer(secret_token())
BOB = bearer(secret_token(sub="bob"))
NEVER = 3_600_000
"""A time between reports that no test lives to see."""


async def codes(client: httpx.AsyncClient, times: int) -> list[int]:
    return [(await client.get(TASKS, headers=ANN)).status_code for _ in range(times)]


async def counted(redis_url: str) -> int:
    """Return the sum of all windows' counts in Redis."""
    async with redis.Redis.from_url(redis_url) as client:
        keys = cast("list[bytes]", await client.keys("limits:LIMITER/*"))
        return sum([int(await client.get(key) or 0) for key in keys])


def shared(redis_url: str, count: int) -> Condition:
    """Return the condition that Redis has counted so many."""

    async def is_shared() -> bool:
        return await counted(redis_url) == count

    return is_shared


@asynccontextmanager
async def detour(redis_url: str) -> AsyncGenerator[tuple[str, TcpProxy]]:
    """Give another address of Redis, and the proxy that is there."""
    parts = urlsplit(redis_url)
    assert parts.port
    async with tcp_proxy(parts.port) as proxy:
        yield urlunsplit(parts._replace(netloc=parts.netloc.replace(str(parts.port), str(proxy.port)))), proxy


async def test_a_user_passes_so_often_and_no_more(start_gateway: StartGateway) -> None:
    async with start_gateway(rate_limit_user="5/day") as gateway:
        passed = [await gateway.get(TASKS, headers=ANN) for _ in range(5)]
        assert [response.status_code for response in passed] == [200] * 5
        assert [response.headers["ratelimit"].split(";")[1] for response in passed] == [
            "r=4",
            "r=3",
            "r=2",
            "r=1",
            "r=0",
        ]
        refused = await gateway.get(TASKS, headers=ANN)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["request_id"] == refused.headers["x-request-id"]
        seconds = int(refused.headers["retry-after"])
        assert 0 < seconds <= 86_401
        assert refused.headers["ratelimit"] == f'"user";r=0;t={seconds}'
        assert refused.headers["ratelimit-policy"] == passed[0].headers["ratelimit-policy"] == '"user";q=5;w=86400'
        assert (await gateway.get("/api/bob/tasks", headers=BOB)).status_code == 200


@pytest.mark.parametrize("limit", [10, 60])
async def test_one_gateway_is_exact_under_concurrent_requests(start_gateway: StartGateway, limit: int) -> None:
    async with start_gateway(rate_limit_user=f"{limit}/day", rate_limit_sync_ms=10) as gateway:
        answers = await asyncio.gather(*(codes(gateway, 10) for _ in range(limit // 5)))
        assert Counter(code for part in answers for code in part) == {200: limit, 429: limit}


async def test_small_limits_are_exact_over_two_gateways(start_gateway: StartGateway) -> None:
    settings = {"rate_limit_user": "10/day", "rate_limit_sync_ms": NEVER}
    async with start_gateway(**settings) as one, start_gateway(**settings) as other:
        answers = await asyncio.gather(*(codes(gateway, 5) for gateway in (one, other) for _ in range(4)))
        assert Counter(code for part in answers for code in part) == {200: 10, 429: 30}


async def test_two_gateways_overshoot_by_no_more_than_their_portions(
    start_gateway: StartGateway, redis_url: str
) -> None:
    limit = 100
    async with detour(redis_url) as (url, proxy):
        proxy.delay_seconds = 0.02  # so that much comes in while a report is under way
        settings = {"redis_url": url, "rate_limit_user": f"{limit}/day", "rate_limit_sync_ms": NEVER}
        async with start_gateway(**settings) as one, start_gateway(**settings) as other:
            answers = await asyncio.gather(*(codes(gateway, 1) for _ in range(limit) for gateway in (one, other)))
            assert limit <= answers.count([200]) <= limit + 2 * limit // PORTIONS
            assert await codes(one, 1) == await codes(other, 1) == [429]


async def test_gateways_learn_of_each_other_in_the_background(start_gateway: StartGateway, redis_url: str) -> None:
    async with start_gateway(rate_limit_user="100000/day", rate_limit_sync_ms=20) as gateway:
        assert await codes(gateway, 7) == [200] * 7
        await eventually(shared(redis_url, 7), what="all seven are shared")


async def test_what_a_gateway_has_counted_outlives_it(start_gateway: StartGateway, redis_url: str) -> None:
    async with start_gateway(rate_limit_user="100000/day", rate_limit_sync_ms=NEVER) as gateway:
        assert await codes(gateway, 7) == [200] * 7
        assert await counted(redis_url) == 0
    assert await counted(redis_url) == 7


async def test_guessing_tokens_is_counted_by_address(start_gateway: StartGateway) -> None:
    async with start_gateway(rate_limit_address="3/day") as gateway:
        garbage = [(await gateway.get(TASKS, headers=bearer(f"a.b.{n}"))).status_code for n in range(3)]
        assert garbage == [401, 401, 401]
        refused = await gateway.get(TASKS, headers=ANN)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["ratelimit-policy"] == '"address";q=3;w=86400'
        assert refused.headers["x-request-id"] == refused.json()["request_id"]
        assert (await gateway.get("/nowhere")).status_code == 429
        assert (await gateway.get("/healthz")).status_code == 200


async def test_behind_a_trusted_proxy_its_clients_are_counted(start_gateway: StartGateway) -> None:
    def came(*hops: str) -> dict[str, str]:
        return ANN | {"X-Forwarded-For": ", ".join(hops)}

    async with start_gateway(rate_limit_address="1/day", trusted_proxies="127.0.0.0/8") as gateway:
        first = [await gateway.get(TASKS, headers=came("9.9.9.9", f"203.0.113.{n}")) for n in range(3)]
        assert [response.status_code for response in first] == [200] * 3
        assert (await gateway.get(TASKS, headers=came("8.8.8.8", "203.0.113.1"))).status_code == 429
        assert await codes(gateway, 3) == [200] * 3
    async with start_gateway(rate_limit_address="1/day") as gateway:
        assert (await gateway.get(TASKS, headers=came("203.0.113.7"))).status_code == 200
        assert (await gateway.get(TASKS, headers=came("203.0.113.8"))).status_code == 429


async def test_without_redis_an_open_gateway_counts_alone(start_gateway: StartGateway, redis_url: str) -> None:
    async with detour(redis_url) as (url, proxy):
        proxy.hold()
        async with start_gateway(redis_url=url, rate_limit_user="20/day", rate_limit_sync_ms=50) as gateway:
            assert Counter(await codes(gateway, 25)) == {200: 20, 429: 5}
            assert await counted(redis_url) == 0
            proxy.release()
            await eventually(shared(redis_url, 20), what="Redis is told what passed meanwhile")


async def test_what_redis_forgets_a_gateway_remembers(start_gateway: StartGateway, redis_url: str) -> None:
    limit = 60
    async with (
        start_gateway(rate_limit_user=f"{limit}/day", rate_limit_sync_ms=10) as gateway,
        redis.Redis.from_url(redis_url) as client,
    ):
        passed = Counter(await codes(gateway, limit - 10))
        for _ in range(2):
            await client.flushdb()
            passed.update(await codes(gateway, 15))
        assert passed == {200: limit, 429: 20}


async def test_without_redis_a_closed_gateway_refuses(start_gateway: StartGateway, redis_url: str) -> None:
    settings = {"rate_limit_user": "40/day", "rate_limit_sync_ms": 50, "rate_limit_fail": "closed"}
    async with detour(redis_url) as (url, proxy), start_gateway(redis_url=url, **settings) as gateway:
        assert await codes(gateway, 1) == [200]
        proxy.hold()
        refused = await gateway.get(TASKS, headers=ANN)
        assert (refused.status_code, refused.json()["code"]) == (503, "limits_unavailable")
        assert refused.headers["retry-after"] == "1"
        assert await codes(gateway, 3) == [503] * 3
        proxy.release()

        async def passes() -> bool:
            return await codes(gateway, 1) == [200]

        await eventually(passes, what="Redis is back")


async def test_windows_end_and_memory_is_bounded(redis_url: str) -> None:
    now = 1_000_000.0
    async with open_redis(redis_url) as client:
        rate = SharedRate("user", parse("3/minute"), SharedCounters(client), fail="open", keys=100, clock=lambda: now)
        for _ in range(3):
            await rate.take("ann")
        with pytest.raises(RateLimitedError) as refused:
            await rate.take("ann")
        seconds = int(refused.value.headers["Retry-After"])
        assert 1 <= seconds <= 61
        now += seconds
        for _ in range(3):
            await rate.take("ann")
        for number in range(300):
            await rate.take(f"user-{number}")
        assert len(rate) == 100


async def test_a_clock_that_is_set_back_keeps_nobody_out_for_longer_than_a_window(redis_url: str) -> None:
    now = 1_000_000.0
    async with open_redis(redis_url) as client:
        rate = SharedRate("user", parse("1/minute"), SharedCounters(client), fail="open", keys=100, clock=lambda: now)
        await rate.take("ann")
        now -= 3600
        await rate.take("ann")
        with pytest.raises(RateLimitedError) as refused:
            await rate.take("ann")
        assert int(refused.value.headers["Retry-After"]) <= 61
