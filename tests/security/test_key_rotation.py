"""The issuer of public tokens changes its keys under load, goes away, hangs and lies."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace

import httpx
import pytest

from gateway.identity.jwks import JwksKeys
from service_kit.http import create_http_client
from tests.security.rotating_issuer import MISCONDUCT, RotatingIssuer, gateway_of
from tests.support.ports import free_port
from tests.support.servers import eventually, serve

USERS = 12
REQUESTS_EACH_PHASE = 100
MOST_PUBLISHED = 100
"""Keys of Better Auth's set: its adapters find no more at once."""


async def _answer(gateway: httpx.AsyncClient, token: str, user_id: str = "ann") -> tuple[int, str]:
    response = await gateway.get(f"/api/{user_id}/tasks", headers={"Authorization": f"Bearer {token}"})
    return response.status_code, response.json().get("code", "")


async def _status(gateway: httpx.AsyncClient, token: str, user_id: str = "ann") -> int:
    return (await _answer(gateway, token, user_id))[0]


@dataclass
class Load:
    """Users who ask without a pause, each with a token of their own that they keep for a while."""

    gateway: httpx.AsyncClient
    issuer: RotatingIssuer
    told: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    """How often each key's tokens were answered with each status."""

    renewing: bool = True
    in_use: dict[str, str] = field(default_factory=dict[str, str])
    """The key of each user's token."""

    async def ask(self, user_id: str) -> None:
        """Ask for ever. A token is renewed after ten requests."""
        while True:
            key_id = self.issuer.newest
            token, self.in_use[user_id] = self.issuer.token(user_id), key_id
            for _ in range(10):
                self.told[key_id, await _status(self.gateway, token, user_id)] += 1

    async def goes_on(self, key_id: str) -> None:
        """Wait until so many more requests with tokens of a key were let in."""
        goal = self.told[key_id, 200] + REQUESTS_EACH_PHASE
        await eventually(lambda: self.told[key_id, 200] >= goal or self.refused > 0, what=f"load with {key_id}")

    @property
    def refused(self) -> int:
        """How many were not let in."""
        return sum(count for (_, status), count in self.told.items() if status != 200)


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256", "ES256"])
async def test_a_rotation_under_load_refuses_nobody(algorithm: str, redis_url: str) -> None:
    issuer = RotatingIssuer(algorithm)
    ages = {"jwks_max_age_seconds": 0.2, "jwks_refresh_floor_seconds": 0.05, "jwt_cache_seconds": 0.1}
    async with gateway_of(issuer, redis_url, **ages) as gateway:
        load = Load(gateway, issuer)
        users = [asyncio.create_task(load.ask(f"user-{number}")) for number in range(USERS)]
        try:
            await load.goes_on("key-1")
            issuer.rotate("key-2")
            await load.goes_on("key-2")
            await eventually(lambda: "key-1" not in load.in_use.values(), what="the grace period ends")
            stolen = issuer.withdraw("key-1").token()

            async def is_dead() -> bool:
                return await _answer(gateway, stolen) == (401, "token_invalid")

            await eventually(is_dead, seconds=10, what="the old key dies")
            await load.goes_on("key-2")
            assert [await _status(gateway, stolen) for _ in range(3)] == [401] * 3
        finally:
            for user in users:
                user.cancel()
            await asyncio.gather(*users, return_exceptions=True)
        assert load.refused == 0, load.told


async def test_a_withdrawn_key_dies_without_traffic(redis_url: str) -> None:
    """The keys are fetched again by the clock: the first request for hours is not the one that gets in."""
    issuer = RotatingIssuer()
    async with gateway_of(issuer, redis_url, jwks_max_age_seconds=0.1) as gateway:
        issuer.rotate("key-2")
        assert await _status(gateway, issuer.token(key_id="key-1")) == 200
        stolen = issuer.withdraw("key-1").token()
        seen = issuer.fetches
        # One more than the next one, which may have been under way.
        await eventually(lambda: issuer.fetches >= seen + 3, what="the keys are fetched by themselves")
        assert await _answer(gateway, stolen) == (401, "token_invalid")


async def test_keys_that_come_one_after_the_other_are_found_at_once(redis_url: str) -> None:
    """The floor is for ids that the issuer does not know: not for the next of several keys of one rotation."""
    issuer = RotatingIssuer()
    async with gateway_of(issuer, redis_url) as gateway:
        for number in range(2, 6):
            assert await _status(gateway, issuer.token()) == 200
            issuer.rotate(f"key-{number}")
        assert await _status(gateway, issuer.token()) == 200
        assert issuer.fetches == 5
        assert await _answer(gateway, issuer.evil.token()) == (401, "token_invalid")
        issuer.rotate("key-6")
        assert await _answer(gateway, issuer.token()) == (401, "token_invalid")
        assert issuer.fetches == 6


async def test_a_clock_that_is_set_back_keeps_no_withdrawn_key(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = RotatingIssuer()
    async with gateway_of(issuer, redis_url, jwks_max_age_seconds=0.1, jwt_cache_seconds=0.3) as gateway:
        issuer.rotate("key-2")
        stolen = issuer.token(key_id="key-1")
        assert await _status(gateway, stolen) == 200
        an_hour_ago = SimpleNamespace(time=lambda: time.time() - 3600, monotonic=time.monotonic)
        monkeypatch.setattr("gateway.identity.tokens.time", an_hour_ago)
        issuer.withdraw("key-1")

        async def is_dead() -> bool:
            return await _answer(gateway, stolen) == (401, "token_invalid")

        await eventually(is_dead, seconds=10, what="the old key dies")


async def test_a_rotation_that_made_as_many_keys_as_there_were_requests(redis_url: str) -> None:
    """Better Auth makes one for each token that it is asked for before the first of them is stored."""
    issuer = RotatingIssuer()
    for number in range(2, MOST_PUBLISHED + 1):
        issuer.rotate(f"key-{number}")
    async with gateway_of(issuer, redis_url) as gateway:
        statuses = {key_id: await _status(gateway, issuer.token(key_id=key_id)) for key_id in issuer.mints}
        assert statuses == dict.fromkeys(issuer.mints, 200)


async def test_a_key_that_is_newer_than_the_fetch_under_way() -> None:
    """A fetch that began before the rotation brings the old keys; its waiters have another look, all in one."""
    issuer = RotatingIssuer()
    issuer.held = asyncio.Event()
    ages = {"floor_seconds": 30, "max_age_seconds": 300, "fetch_seconds": 10}
    async with serve(issuer.app()) as url, create_http_client("") as client:
        keys = JwksKeys(client, f"{url}/api/auth/jwks", "EdDSA", **ages)
        keys.refresh()
        await eventually(lambda: issuer.fetches == 1, what="the first fetch is under way")
        issuer.rotate("key-2")
        waiting = [asyncio.create_task(keys.key_for({"kid": "key-2"})) for _ in range(USERS)]
        await asyncio.sleep(0)
        issuer.held.set()
        assert len(await asyncio.gather(*waiting)) == USERS
        assert issuer.fetches == 2
        await keys.close()


@pytest.mark.parametrize("name", MISCONDUCT)
async def test_an_issuer_that_misbehaves_changes_no_key(name: str, redis_url: str) -> None:
    issuer = RotatingIssuer()
    known = issuer.token()
    ages = {"jwks_refresh_floor_seconds": 0, "jwks_fetch_seconds": 0.5}
    async with gateway_of(issuer, redis_url, **ages) as gateway:
        assert await _status(gateway, known) == 200
        issuer.conduct = MISCONDUCT[name]
        assert await _answer(gateway, issuer.evil.token()) == (503, "upstream_unavailable")
        assert issuer.fetches == 2
        assert await _status(gateway, known) == 200
        assert await _status(gateway, issuer.evil.token()) == 503
        assert issuer.redirects_followed == 0
        issuer.conduct = None
        issuer.rotate("key-2")
        assert await _status(gateway, issuer.token()) == 200
        assert await _answer(gateway, issuer.evil.token()) == (401, "token_invalid")


async def test_an_outage_costs_one_fetch_each_floor(redis_url: str) -> None:
    issuer = RotatingIssuer()
    async with gateway_of(issuer, redis_url) as gateway:
        assert await _status(gateway, issuer.token()) == 200
        issuer.conduct = MISCONDUCT["an error"]
        before = issuer.fetches
        for _ in range(3):
            unknown = [issuer.mints["key-1"].headed(kid=f"odd-{number}") for number in range(20)]
            known = [issuer.token(f"user-{number}") for number in range(20)]
            answers = await asyncio.gather(
                *(_answer(gateway, token) for token in unknown),
                *(_answer(gateway, token, f"user-{number}") for number, token in enumerate(known)),
            )
            assert answers == [(503, "upstream_unavailable")] * 20 + [(200, "")] * 20
        assert issuer.fetches == before + 1


async def test_an_issuer_that_hangs_holds_up_no_known_key(redis_url: str) -> None:
    issuer = RotatingIssuer()
    async with gateway_of(issuer, redis_url, jwks_fetch_seconds=60) as gateway:
        assert await _status(gateway, issuer.token()) == 200
        issuer.held = asyncio.Event()
        unknown = [asyncio.create_task(_status(gateway, issuer.evil.token())) for _ in range(10)]
        await eventually(lambda: issuer.fetches == 2, what="the keys are asked for")
        known = [await _status(gateway, issuer.token(f"user-{number}"), f"user-{number}") for number in range(5)]
        assert known == [200] * 5
        assert not any(task.done() for task in unknown)
        issuer.held.set()
        assert await asyncio.gather(*unknown) == [401] * 10
        assert issuer.fetches == 2


async def test_an_issuer_that_is_gone_and_comes_back(redis_url: str) -> None:
    """No server at all, at the start and later, with traffic: known keys go on, and new ones are found."""
    issuer, port = RotatingIssuer(), free_port()
    ages = {"jwks_max_age_seconds": 0.1, "jwks_refresh_floor_seconds": 0.1}
    address = f"http://127.0.0.1:{port}/api/auth/jwks"
    async with gateway_of(issuer, redis_url, jwks_url=address, **ages) as gateway:
        assert await _answer(gateway, issuer.token()) == (503, "upstream_unavailable")

        async def gets_in() -> bool:
            return await _status(gateway, issuer.token()) == 200

        async with serve(issuer.app(), port=port):
            await eventually(gets_in, seconds=10, what="the keys are there")
        known = issuer.token()
        issuer.rotate("key-2")

        async def is_unknown() -> bool:
            return await _answer(gateway, issuer.token()) == (503, "upstream_unavailable")

        await eventually(is_unknown, what="the outage is noticed")
        for number in range(50):
            assert await _status(gateway, known) == 200
            assert await _status(gateway, issuer.token(f"user-{number}", "key-1"), f"user-{number}") == 200
        async with serve(issuer.app(), port=port):
            await eventually(gets_in, seconds=10, what="the new key is found")
            assert await _status(gateway, known) == 200
