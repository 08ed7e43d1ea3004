"""Streams that are open at once: of a user, of an address, over two gateways, and after one was killed."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import cast

import httpx
import pytest
import redis.asyncio as redis
from starlette.responses import Response

from contracts.redis_keys import open_streams_key
from gateway.limits.counters import ANSWER_SECONDS
from gateway.limits.streams import PORTIONS, TELL_SECONDS
from launcher.ports import LOOPBACK
from tests.integration.gateway.conftest import ISSUER, SECRET, SIGNING_KEY, Inside, StartGateway, bearer, secret_token
from tests.integration.gateway.test_limits import detour
from tests.support.ports import free_port
from tests.support.servers import eventually, run_process

BOB = bearer(secret_token(sub="bob"))
TWO = {"streams_per_user": 2}


@pytest.fixture(autouse=True)
def _streaming(inside: Inside) -> None:
    inside.answer = inside.stream


def path(user: str = "ann") -> str:
    return f"/api/{user}/runs/run_1/events"


@asynccontextmanager
async def stream(gateway: httpx.AsyncClient, user: str = "ann") -> AsyncGenerator[httpx.Response]:
    """Ask for a stream and leave it open while the block runs."""
    headers = bearer(secret_token(sub=user))
    async with gateway.stream("GET", path(user), headers=headers) as response:
        if not response.is_success:
            await response.aread()
        yield response


async def status(gateway: httpx.AsyncClient, user: str = "ann") -> int:
    async with stream(gateway, user) as response:
        return response.status_code


async def test_a_user_holds_so_many_streams_over_all_gateways(start_gateway: StartGateway, inside: Inside) -> None:
    async with start_gateway(**TWO) as one, start_gateway(**TWO) as other, stream(one) as first:
        async with stream(other) as second, stream(one) as third, stream(other) as fourth:
            assert [first.status_code, second.status_code] == [200, 200]
            for refused in (third, fourth):
                assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
                assert refused.headers["retry-after"] == "5"
            assert len(inside.seen) == 2
            assert await status(one, "bob") == 200

        async def has_room() -> bool:
            return await status(one) == 200

        await eventually(has_room, seconds=5, what="the second stream's place is free")


async def test_a_place_is_free_at_once_where_a_stream_ended(start_gateway: StartGateway, inside: Inside) -> None:
    async with start_gateway(streams_per_user=1, streams_per_address=1) as gateway:
        for _ in range(20):
            async with stream(gateway) as response:
                assert response.status_code == 200
                await inside.pieces.put(None)
                await response.aread()


async def test_the_first_streams_begin_unasked_and_are_told(start_gateway: StartGateway, redis_url: str) -> None:
    limit = PORTIONS
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(start_gateway(streams_per_user=limit)) for _ in range(2)]
        shared = await stack.enter_async_context(redis.Redis.from_url(redis_url))

        async def is_told() -> bool:
            return await shared.zcard(open_streams_key("user", "ann")) == 1

        assert (await stack.enter_async_context(stream(one))).status_code == 200
        await eventually(is_told, what="the first stream is known to all")
        more = await asyncio.gather(*(stack.enter_async_context(stream(other)) for _ in range(limit)))
        assert sorted(response.status_code for response in more) == [*[200] * (limit - 1), 429]
        assert await status(one) == 429


async def test_what_ends_at_once_is_never_told(start_gateway: StartGateway, inside: Inside, redis_url: str) -> None:
    inside.answer = lambda: Response(b"{}", media_type="application/json")
    async with start_gateway() as gateway, redis.Redis.from_url(redis_url) as shared:
        assert (await gateway.get(path(), headers=bearer(secret_token()))).status_code == 200
        assert await shared.exists(open_streams_key("user", "ann")) == 0


async def test_an_address_holds_so_many_streams(start_gateway: StartGateway) -> None:
    settings = {"streams_per_address": 2, "streams_per_user": 0}
    async with (
        start_gateway(**settings) as one,
        start_gateway(**settings) as other,
        stream(one) as first,
        stream(other, "bob") as second,
        stream(one, "eve") as third,
    ):
        assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]


async def test_a_killed_gateway_s_streams_stop_counting(
    start_gateway: StartGateway, inside_url: str, redis_url: str, tmp_path: Path
) -> None:
    port = free_port()
    environment = {
        "GATEWAY_PORT": str(port),
        **{"CHAT_URL": inside_url, "HISTORY_URL": inside_url, "TOOLS_URL": inside_url, "REDIS_URL": redis_url},
        **{"JWT_ALGORITHM": "HS256", "BETTER_AUTH_SECRET": SECRET, "JWT_ISSUER": ISSUER},
        **{"INTERNAL_SIGNING_KEY": SIGNING_KEY, "STREAMS_PER_USER": "1", "STREAM_LEASE_SECONDS": "0.9"},
    }
    url = f"http://{LOOPBACK}:{port}"
    async with AsyncExitStack() as stack:
        killed = await stack.enter_async_context(
            run_process(("python", "-m", "gateway"), log=tmp_path / "log", env=environment, ready_url=f"{url}/healthz")
        )
        gateway = await stack.enter_async_context(start_gateway(streams_per_user=1))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url))
        assert (await stack.enter_async_context(stream(client))).status_code == 200
        async with redis.Redis.from_url(redis_url) as shared:
            score = await lease(shared)

            async def is_renewed_twice() -> bool:
                return await lease(shared) > score + 500

            await eventually(is_renewed_twice, what="the stream outlives its first lease")
            assert await status(gateway) == 429
            killed.process.kill()

            async def has_room() -> bool:
                return await status(gateway) == 200

            await eventually(has_room, seconds=10, what="the killed gateway's stream counts no more")


async def lease(shared: redis.Redis) -> float:
    """Return when the user's stream stops counting, in ms; 0 if there is none."""
    streams = await shared.zrange(open_streams_key("user", "ann"), 0, -1, withscores=True)
    return max([score for _, score in cast("list[tuple[bytes, float]]", streams)], default=0.0)


async def test_streams_are_counted_again_after_redis_forgot_them(start_gateway: StartGateway, redis_url: str) -> None:
    settings = {"streams_per_user": 1, "stream_lease_seconds": 0.6}
    async with (
        start_gateway(**settings) as one,
        start_gateway(**settings) as other,
        stream(one),
        redis.Redis.from_url(redis_url) as shared,
    ):
        await shared.flushdb()
        await eventually(lambda: is_there(shared), what="the stream is known again")
        assert await status(other) == 429


async def is_there(shared: redis.Redis) -> bool:
    return await lease(shared) > 0


@pytest.mark.parametrize(("fail", "expected"), [("open", [200, 429]), ("closed", [503, 503])])
async def test_without_redis(start_gateway: StartGateway, redis_url: str, fail: str, expected: list[int]) -> None:
    async with detour(redis_url) as (url, proxy):
        proxy.hold()
        async with start_gateway(redis_url=url, streams_per_user=1, streams_fail=fail) as gateway:
            async with stream(gateway) as first, stream(gateway) as second:
                assert [first.status_code, second.status_code] == expected
                if fail == "closed":
                    assert json.loads(first.content)["code"] == "limits_unavailable"
            proxy.release()


async def test_users_do_not_wait_for_redis_one_behind_the_other(start_gateway: StartGateway, redis_url: str) -> None:
    users = [f"user-{number}" for number in range(10)]
    settings = {"streams_per_user": PORTIONS, "streams_per_address": 0}
    async with detour(redis_url) as (url, proxy), start_gateway(redis_url=url, **settings) as gateway:
        proxy.hold()
        async with asyncio.timeout(TELL_SECONDS * len(users) / 2), AsyncExitStack() as stack:
            both = [stack.enter_async_context(stream(gateway, user)) for user in users * 2]
            begun = await asyncio.gather(*both)  # of each user's, the first unasked
        assert [response.status_code for response in begun] == [200] * len(both)
        proxy.release()


async def test_a_stream_that_was_refused_does_not_count_after_all(start_gateway: StartGateway, redis_url: str) -> None:
    settings = {"streams_per_user": 1, "streams_per_address": 0, "streams_fail": "closed"}
    async with (
        detour(redis_url) as (url, proxy),
        start_gateway(redis_url=url, **settings) as gateway,
        redis.Redis.from_url(redis_url) as shared,
    ):
        assert await status(gateway, "bob") == 200  # there is a connection
        proxy.delay_seconds = ANSWER_SECONDS * 1.2
        assert await status(gateway) == 503
        await eventually(lambda: is_there(shared), what="Redis has counted it nevertheless")
        proxy.delay_seconds = 0

        async def has_room() -> bool:
            return await status(gateway) == 200

        await eventually(has_room, seconds=5, what="it does not count until its lease ends")
