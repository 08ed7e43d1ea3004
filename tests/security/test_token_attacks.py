"""Forged, altered, expired, replayed and confused tokens, each tried at every place that takes one."""

import time
from collections.abc import AsyncGenerator, Iterator, Mapping

import pytest
import pytest_asyncio
import structlog

from tests.security.attack_claims import NAME_ATTACKS, PAYLOAD_ATTACKS, SHAPE_ATTACKS, TIME_ATTACKS
from tests.security.attack_headers import ALGORITHM_ATTACKS, KEY_ATTACKS, KIND_ATTACKS, Attack
from tests.security.attack_signatures import SIGNATURE_ATTACKS, mirrored
from tests.security.foreign_tokens import client_secret
from tests.security.places import PLACES, Place, running_place
from tests.security.raw_requests import Answer, Header, bearer, get
from tests.support.postgres import PostgresServer
from tests.support.servers import eventually
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

MAX_CPU_SECONDS = 0.05
TRIES = 3
"""A refusal counts with the least processor time of so many tries: what else the process did is not the token's."""

INVALID = (401, "token_invalid")
EXPIRED = (401, "token_expired")
MISSING = (401, "token_missing")

GROUPS: tuple[Mapping[str, Attack], ...] = (
    *(ALGORITHM_ATTACKS, KEY_ATTACKS, KIND_ATTACKS, SIGNATURE_ATTACKS),
    *(TIME_ATTACKS, NAME_ATTACKS, PAYLOAD_ATTACKS, SHAPE_ATTACKS),
)
ATTACKS = {name: attack for group in GROUPS for name, attack in group.items()}

TOLD_OTHERWISE = {
    "exp past": EXPIRED,
    "exp zero": EXPIRED,
    "exp past in a part of a second": EXPIRED,
}
"""What is answered with another code than `token_invalid`."""

DETAILS = {
    "token_invalid": "The bearer token is not valid here.",
    "token_expired": "The bearer token has expired.",
    "token_missing": "Sign in first: this request carries no bearer token.",
}

log = structlog.get_logger(__name__)


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=PLACES)
async def running(
    request: pytest.FixtureRequest, postgres: PostgresServer, valkey: ValkeyServer
) -> AsyncGenerator[Place]:
    async with running_place(request.param, postgres, valkey) as place:
        yield place


@pytest.fixture
def place(running: Place) -> Place:
    """One of all places; it has let nothing through yet."""
    running.reached.clear()
    return running


async def _least(place: Place, headers: list[Header]) -> Answer:
    """Send a request until it was answered cheaply enough, a few times at most."""
    answer = await get(place.url, place.path, headers)
    for _ in range(TRIES - 1):
        if answer.cpu_seconds < MAX_CPU_SECONDS:
            break
        answer = await get(place.url, place.path, headers)
    return answer


def _faults(answer: Answer, told: tuple[int, str], token: str) -> Iterator[str]:
    """Find what is wrong with a refusal: status, code, challenge, a word too many, processor time."""
    if answer.told != told:
        yield f"answered {answer.told}"
    if answer.headers.get("www-authenticate") != ("Bearer" if told == MISSING else 'Bearer error="invalid_token"'):
        yield "no challenge of RFC 6750"
    if answer.problem.get("detail") != DETAILS.get(told[1]):
        yield f"said {answer.body!r}"
    if set(answer.problem) > {"type", "title", "status", "detail", "code", "request_id"}:
        yield f"told more: {answer.body!r}"
    if len(token) > 8 and token[:200].encode("latin-1", "replace") in answer.body:
        yield "repeated the token"
    if answer.cpu_seconds >= MAX_CPU_SECONDS:
        yield f"took {answer.cpu_seconds * 1000:.0f} ms"


async def _status(place: Place, token: str) -> int:
    return (await get(place.url, place.path, [bearer(token)])).status


async def test_every_attack_is_refused(place: Place) -> None:
    made = {name: attack(place.mint) for name, attack in ATTACKS.items()}
    tokens = {name: token for name, token in made.items() if token is not None}
    tokens |= {name: make() for name, make in place.foreign.items()}
    assert len(set(tokens.values())) == len(tokens) >= 200
    assert await _status(place, place.mint.token()) == 200
    passed = len(place.reached)
    wrong: dict[str, list[str]] = {}
    slowest = 0.0
    for name, token in tokens.items():
        answer = await _least(place, [bearer(token)])
        slowest = max(slowest, answer.cpu_seconds)
        wrong[name] = list(_faults(answer, TOLD_OTHERWISE.get(name, INVALID), token))
    assert {name: faults for name, faults in wrong.items() if faults} == {}
    assert len(place.reached) == passed
    assert await _status(place, place.mint.token()) == 200
    log.info("attacks_refused", place=place.name, attacks=len(tokens), slowest_cpu_ms=round(slowest * 1000, 1))


def _requests(place: Place) -> dict[str, tuple[list[Header], tuple[int, str]]]:
    """Make requests that carry something else than one bearer token, and say what each is told."""
    good, bad = place.mint.token(), place.mint.attacker.token()
    named = ("X-User-Id", "X-Forwarded-User", "X-Auth-Request-User", "X-Remote-User", "X-Forwarded-Access-Token")
    elsewhere = ("Proxy-Authorization", "X-Authorization", "X-Forwarded-Authorization", "X-Access-Token")
    return {
        "nothing": ([], MISSING),
        **{f"only {name}": ([(name, place.mint.user_id)], MISSING) for name in named},
        **{f"the token in {name}": ([(name, f"Bearer {good}")], MISSING) for name in elsewhere},
        "X-User-Id beside a bad token": ([bearer(bad), ("X-User-Id", place.mint.user_id)], INVALID),
        "the token in a cookie": ([("Cookie", f"better-auth.session_token={good}; token={good}")], MISSING),
        "an empty header": ([("Authorization", "")], MISSING),
        "only the scheme": ([("Authorization", "Bearer")], MISSING),
        "only the scheme and spaces": ([("Authorization", "Bearer   ")], MISSING),
        "no scheme": ([("Authorization", good)], MISSING),
        "Basic": ([("Authorization", "Basic YW5uOng=")], MISSING),
        "Basic with the token": ([("Authorization", f"Basic {good}")], MISSING),
        "Digest": ([("Authorization", f'Digest username="{place.mint.user_id}"')], MISSING),
        "DPoP": ([("Authorization", f"DPoP {good}")], MISSING),
        "Token": ([("Authorization", f"Token {good}")], MISSING),
        "a tab behind the scheme": ([("Authorization", f"Bearer\t{good}")], MISSING),
        "a colon behind the scheme": ([("Authorization", f"Bearer: {good}")], MISSING),
        "an equals sign behind the scheme": ([("Authorization", f"Bearer={good}")], MISSING),
        "good and bad": ([bearer(good), bearer(bad)], INVALID),
        "bad and good": ([bearer(bad), bearer(good)], INVALID),
        "good twice": ([bearer(good), bearer(good)], INVALID),
        "good and Basic": ([bearer(good), ("Authorization", "Basic YW5uOng=")], INVALID),
        "two in one header": ([("Authorization", f"Bearer {good}, Bearer {good}")], INVALID),
    }


async def test_only_one_bearer_header_counts(place: Place) -> None:
    wrong: dict[str, list[str]] = {}
    for name, (headers, told) in _requests(place).items():
        wrong[name] = list(_faults(await _least(place, headers), told, ""))
    in_query = await get(place.url, f"{place.path}?access_token={place.mint.token()}&token=x", [])
    wrong["the token in the query"] = list(_faults(in_query, MISSING, ""))
    assert {name: faults for name, faults in wrong.items() if faults} == {}
    assert place.reached == []


async def test_what_the_server_cuts_off_is_not_let_in(place: Place) -> None:
    """A null byte in a header is no HTTP; what is longer than the service reads is refused before it is looked at."""
    for token in (place.mint.token() + "\0", place.mint.token(name="x" * 1_000_000)):
        answer = await _least(place, [bearer(token)])
        assert answer.status in {0, 400, 401, 431}
        assert answer.cpu_seconds < MAX_CPU_SECONDS
    assert place.reached == []


async def test_what_is_let_in(place: Place) -> None:
    """The documented forms of a good token; all others are attacks."""
    good = place.mint.token()
    for scheme in ("Bearer", "bearer", "BEARER", "BeArEr", "Bearer  "):
        assert (await get(place.url, place.path, [("Authorization", f"{scheme} {good}")])).status == 200
    several = place.mint.token(aud=["another", place.mint.audience])
    begun = place.mint.token(nbf=1)
    spare = place.mint.token(role="admin", email="ann@example.com", groups=[{"deep": [1]}])
    assert [await _status(place, token) for token in (several, begun, spare)] == [200] * 3


@pytest.mark.parametrize("name", ["gateway EdDSA", "history-service"])
async def test_a_token_dies_at_its_time(name: str, postgres: PostgresServer, valkey: ValkeyServer) -> None:
    """Replayed: taken while it lives, remembered or not, and refused from then on. 5 s are the clocks' leeway."""
    async with running_place(name, postgres, valkey) as place:
        now = int(time.time())
        token = place.mint.token(iat=now - 30, exp=now - 3)
        assert await _status(place, token) == 200

        async def is_dead() -> bool:
            return (await get(place.url, place.path, [bearer(token)])).told == EXPIRED

        await eventually(is_dead, what="the token dies")
        assert [await _status(place, token) for _ in range(3)] == [401] * 3


async def test_ecdsa_has_two_signatures_for_one_token(postgres: PostgresServer, valkey: ValkeyServer) -> None:
    """Anybody can turn one into the other, and RFC 7518 lets them. Nothing hangs on it: the claims are the same."""
    async with running_place("gateway ES256", postgres, valkey) as place:
        assert await _status(place, mirrored(place.mint)) == 200
        assert len(place.reached) == 1


async def test_whose_token_it_is_decides(postgres: PostgresServer, valkey: ValkeyServer) -> None:
    """Good tokens, not good for this: 403."""
    async with running_place("gateway EdDSA", postgres, valkey) as place:
        told = {
            "another user": (place.mint.token(sub="bob"), "user_mismatch"),
            "the same user in capitals": (place.mint.token(sub="ANN"), "user_mismatch"),
            "a user like this one": (place.mint.token(sub="ann "), "user_mismatch"),
            "a ChatKit session": (client_secret(), "session_not_allowed"),
            "another user's ChatKit session": (client_secret(sub="bob"), "user_mismatch"),
        }
        answers = {name: (await get(place.url, place.path, [bearer(token)])).told for name, (token, _) in told.items()}
        assert answers == {name: (403, code) for name, (_, code) in told.items()}
        ended = await get(place.url, place.path, [bearer(client_secret(iat=1, exp=2))])
        assert ended.told == (401, "session_expired")
        assert place.reached == []


async def test_a_service_token_without_its_user_or_scope(postgres: PostgresServer, valkey: ValkeyServer) -> None:
    async with running_place("history-service", postgres, valkey) as place:
        for claims in ({"sub": ...}, {"scope": "runs:read"}, {"scope": ""}):
            answer = await get(place.url, place.path, [bearer(place.mint.token(**claims))])
            assert answer.told == (403, "scope_missing")
        claiming = await get(place.url, "/runs/claim", [bearer(place.mint.token())], method="POST")
        assert claiming.status in {403, 422}
