"""ChatKit sessions: what their client secrets open, and what cannot pass for one."""

import time
from base64 import urlsafe_b64decode
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt
import pytest

from gateway.identity.sessions import ALGORITHM, AUDIENCE, ISSUER, TYPE, derive_key
from service_kit.internal_tokens import InternalTokenError, TokenSigner
from tests.integration.gateway.conftest import (
    SECRET,
    SIGNING_KEY,
    USER,
    Inside,
    StartGateway,
    bearer,
    claims,
    secret_token,
    verifier_of,
)
from tests.support.servers import eventually

SESSION = f"/api/{USER}/chatkit/session"
CHATKIT = f"/api/{USER}/chatkit"
OPEN = {
    ("post", "/api/{user_id}/chatkit"),
    ("get", "/api/{user_id}/runs/{run_id}"),
    ("get", "/api/{user_id}/runs/{run_id}/events"),
    ("post", "/api/{user_id}/runs/{run_id}/cancel"),
}


def client_secret(*, key: bytes | str | None = None, typ: str | None = TYPE, **changes: object) -> str:
    """Sign a client secret as the gateway would; a change to None leaves a claim out."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": USER, "sid": "cks_1", "iat": now, "exp": now + 600}
    kept = {name: value for name, value in {**good, **changes}.items() if value is not None}
    signed_with = derive_key(SIGNING_KEY) if key is None else key
    return jwt.encode(kept, signed_with, ALGORITHM, headers={"typ": typ})


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["code"]


@pytest.fixture
async def visitor(start_gateway: StartGateway) -> AsyncGenerator[httpx.AsyncClient]:
    """A gateway; the client sends no token."""
    async with start_gateway() as client:
        yield client


async def create(client: httpx.AsyncClient, user_id: str = USER, **body: object) -> dict[str, Any]:
    """Make a session as its user."""
    headers = bearer(secret_token(sub=user_id))
    response = await client.post(f"/api/{user_id}/chatkit/session", json=body, headers=headers)
    assert response.status_code == 201, response.text
    assert response.headers["cache-control"] == "no-store"
    return response.json()


async def test_a_session_says_how_long_and_where(visitor: httpx.AsyncClient) -> None:
    before = int(time.time())
    session = await create(visitor)
    expires_at = datetime.fromisoformat(session["expires_at"])
    assert expires_at.tzinfo == UTC
    assert before + 600 <= expires_at.timestamp() <= time.time() + 600
    assert session["session_id"].startswith("cks_")
    assert (session["chatkit_url"], session["thread_id"]) == (CHATKIT, None)
    short = await create(visitor, expires_in_seconds=30, thread_id="thr_1")
    assert datetime.fromisoformat(short["expires_at"]).timestamp() <= time.time() + 30
    assert short["thread_id"] == "thr_1"
    long = await create(visitor, expires_in_seconds=10**9)
    assert datetime.fromisoformat(long["expires_at"]).timestamp() <= time.time() + 600
    assert len({one["session_id"] for one in (session, short, long)}) == 3


async def test_the_path_of_a_users_id_is_encoded(visitor: httpx.AsyncClient) -> None:
    headers = bearer(secret_token(sub="auth0|4 2"))
    response = await visitor.post("/api/auth0%7C4%202/chatkit/session", headers=headers)
    assert response.json()["chatkit_url"] == "/api/auth0%7C4%202/chatkit"
    opened = bearer(response.json()["client_secret"])
    assert (await visitor.post(response.json()["chatkit_url"], headers=opened)).status_code == 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (201, "")),
        (b"{}", (201, "")),
        (b'{"thread_id": null}', (201, "")),
        (b'{"threadId": "thr_1"}', (422, "invalid_request")),
        (b'{"thread_id": "../thr_1"}', (422, "invalid_request")),
        (b'{"thread_id": ""}', (422, "invalid_request")),
        (b'{"expires_in_seconds": 0}', (422, "invalid_request")),
        (b"[]", (422, "invalid_request")),
        (b"{", (422, "invalid_request")),
        (b'"' + b"x" * 5000 + b'"', (413, "payload_too_large")),
    ],
)
async def test_the_body_says_what_it_opens_or_nothing(
    gateway: httpx.AsyncClient, body: bytes, expected: tuple[int, str]
) -> None:
    response = await gateway.post(SESSION, content=body)
    assert (response.status_code, response.json().get("code", "")) == expected


async def test_a_session_opens_the_chat_routes_of_its_user_and_nothing_else(
    visitor: httpx.AsyncClient, inside: Inside
) -> None:
    headers = bearer((await create(visitor))["client_secret"])
    paths = (await visitor.get("/openapi.json")).json()["paths"]
    opened: set[tuple[str, str]] = set()
    for template, item in paths.items():
        if "{user_id}" not in template:
            continue
        for method, operation in item.items():
            path = template.replace("{user_id}", USER)
            for parameter in operation["parameters"]:
                path = path.replace(f"{{{parameter['name']}}}", "x_1")
            response = await visitor.request(method, path, headers=headers)
            if response.status_code == 200:
                opened.add((method, template))
            else:
                assert problem(response) == (403, "session_not_allowed"), (method, path)
            assert ({"ChatKitSession": []} in operation["security"]) == (response.status_code == 200)
            elsewhere = await visitor.request(method, path.replace(f"/{USER}/", "/bob/"), headers=headers)
            assert problem(elsewhere) == (403, "user_mismatch"), (method, path)
    assert opened == OPEN
    assert len(inside.seen) == len(OPEN)


@pytest.mark.parametrize("thread_id", [None, "thr_1"])
async def test_inside_the_user_acts_and_is_kept_to_the_thread(
    visitor: httpx.AsyncClient, inside: Inside, thread_id: str | None
) -> None:
    own, session = bearer(secret_token()), bearer((await create(visitor, thread_id=thread_id))["client_secret"])
    for method, path, service in (
        ("POST", "/chatkit", "chat-service"),
        ("GET", "/runs/run_1", "chat-service" if thread_id else "history-service"),
        ("GET", "/runs/run_1/events", "chat-service"),
        ("POST", "/runs/run_1/cancel", "chat-service"),
    ):
        for headers, kept_to in ((own, None), (session, thread_id)):
            await visitor.request(method, f"/api/{USER}{path}", headers=headers)
            receiver = service if headers is session or path != "/runs/run_1" else "history-service"
            principal = verifier_of(receiver).verify(inside.last.headers["authorization"].removeprefix("Bearer "))
            assert (principal.user_id, principal.thread_id) == (USER, kept_to), (path, kept_to)


FORGED: dict[str, Callable[[], str]] = {
    "signed with the key of Better Auth": lambda: client_secret(key=SECRET),
    "signed with the text of the gateway's key": lambda: client_secret(key=SIGNING_KEY),
    "signed with the bytes of the gateway's key": lambda: client_secret(key=urlsafe_b64decode(SIGNING_KEY + "=")),
    "signed with the key of another gateway": lambda: client_secret(key=derive_key("A" * 43)),
    "a public token of that type": lambda: jwt.encode(claims(), SECRET, "HS256", headers={"typ": TYPE}),
    "claims of a public token": lambda: client_secret(iss="https://issuer.test", aud="threadkeep"),
    "for another audience": lambda: client_secret(aud="chat-service"),
    "by another issuer": lambda: client_secret(iss="chat-service"),
    "of no type": lambda: client_secret(typ=None),
    "of the common type": lambda: client_secret(typ="JWT"),
    "of the internal type": lambda: client_secret(typ="internal+jwt"),
    "without a session": lambda: client_secret(sid=None),
    "without a user": lambda: client_secret(sub=None),
    "without an end": lambda: client_secret(exp=None),
    "without a beginning": lambda: client_secret(iat=None),
    "from the future": lambda: client_secret(iat=int(time.time()) + 60),
    "unsigned": lambda: client_secret().rpartition(".")[0] + ".",
    "altered": lambda: ".".join((client_secret().split(".")[0], client_secret(sub="bob").split(".")[1], "AAAA")),
    "oversized": lambda: client_secret(more="x" * 9000),
    "in four parts": lambda: client_secret() + ".x",
    "not ASCII": lambda: client_secret() + "\xe9",
    "an internal token": lambda: TokenSigner("gateway", SIGNING_KEY).sign("chat-service", ["chat"], user_id=USER),
}


@pytest.mark.parametrize("name", FORGED)
async def test_what_is_no_client_secret_opens_nothing(visitor: httpx.AsyncClient, inside: Inside, name: str) -> None:
    authorization = b"Bearer " + FORGED[name]().encode("latin-1")
    response = await visitor.post(CHATKIT, headers=[(b"Authorization", authorization)])
    assert problem(response) == (401, "token_invalid")
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert inside.seen == []


async def test_a_client_secret_is_nothing_inside(visitor: httpx.AsyncClient) -> None:
    secret = (await create(visitor))["client_secret"]
    for service in ("gateway", "chat-service", AUDIENCE):
        with pytest.raises(InternalTokenError):
            verifier_of(service).verify(secret)


async def test_the_end_has_a_code_of_its_own(visitor: httpx.AsyncClient) -> None:
    now = int(time.time())
    over = client_secret(iat=now - 600, exp=now - 6)
    assert problem(await visitor.post(CHATKIT, headers=bearer(over))) == (401, "session_expired")
    within_leeway = client_secret(iat=now - 590, exp=now - 1)
    assert (await visitor.post(CHATKIT, headers=bearer(within_leeway))).status_code == 200
    longer_than_any = client_secret(exp=now + 601)
    assert problem(await visitor.post(CHATKIT, headers=bearer(longer_than_any))) == (401, "session_expired")


async def test_a_verified_session_is_not_trusted_beyond_its_end(start_gateway: StartGateway) -> None:
    async with start_gateway(jwt_leeway_seconds=0, session_revocation_seconds=60) as client:
        headers = bearer(client_secret(exp=int(time.time()) + 2))
        assert (await client.post(CHATKIT, headers=headers)).status_code == 200

        async def is_over() -> bool:
            response = await client.post(CHATKIT, headers=headers)
            return response.status_code == 401 and response.json()["code"] == "session_expired"

        await eventually(is_over, what="the session ends")


async def test_a_page_of_another_origin_may_use_one(start_gateway: StartGateway) -> None:
    async with start_gateway(cors_allow_origins="https://shop.test") as client:
        secret = (await create(client))["client_secret"]
        ask = {"Origin": "https://shop.test", "Access-Control-Request-Method": "POST"}
        preflight = await client.options(
            CHATKIT, headers={**ask, "Access-Control-Request-Headers": "authorization,content-type"}
        )
        assert preflight.headers["access-control-allow-origin"] == "https://shop.test"
        refused = await client.post(CHATKIT, headers={**bearer(secret + "x"), "Origin": "https://shop.test"})
        # Without this a page could not read why, and would not ask for another secret.
        assert refused.headers["access-control-allow-origin"] == "https://shop.test"
        assert problem(refused) == (401, "token_invalid")
