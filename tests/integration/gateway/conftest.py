"""The gateway behind a real socket, with small real services inside and an issuer of tokens outside."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from contracts.principal import (
    CHAT,
    CONVERSATIONS_READ,
    CONVERSATIONS_WRITE,
    RUNS_READ,
    TASKS,
    TrustedIssuer,
)
from gateway.app import create_app
from gateway.edge.protocol import edge_options
from gateway.settings import Settings
from service_kit.internal_tokens import TokenVerifier, generate_signing_key
from tests.support.servers import serve

SECRET = "a-shared-secret-of-more-than-32-bytes"
ISSUER = "https://issuer.test"
USER = "ann"


@dataclass
class Issuer:
    """Better Auth as the gateway sees it: keys that it publishes, and tokens that it signs."""

    algorithm: str = "EdDSA"
    key_id: str = "key-1"
    fetches: int = 0
    down: bool = False
    held: asyncio.Event | None = None
    published: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    private: Any = None

    def __post_init__(self) -> None:
        self.rotate(self.key_id)

    def rotate(self, key_id: str) -> None:
        """Make a new key and publish it beside the others."""
        self.key_id = key_id
        if self.algorithm == "EdDSA":
            self.private = Ed25519PrivateKey.generate()
            jwk = OKPAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        elif self.algorithm == "ES256":
            self.private = generate_private_key(SECP256R1())
            jwk = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        else:
            self.private = generate_rsa_key(65537, 2048)
            jwk = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        self.published[key_id] = {**jwk, "kid": key_id, "alg": self.algorithm}

    def token(self, *, key_id: str | None = None, **changes: object) -> str:
        return jwt.encode(claims(**changes), self.private, self.algorithm, headers={"kid": key_id or self.key_id})

    def app(self) -> Starlette:
        async def jwks(request: Request) -> Response:
            self.fetches += 1
            if self.held:
                await self.held.wait()
            if self.down:
                return Response(status_code=500)
            return JSONResponse({"keys": list(self.published.values())})

        return Starlette(routes=[Route("/api/auth/jwks", jwks)])


def claims(**changes: object) -> dict[str, object]:
    """Claims of a good token; a change to None leaves a claim out."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": "threadkeep", "sub": USER, "iat": now, "exp": now + 3600}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def secret_token(secret: str = SECRET, algorithm: str = "HS256", **changes: object) -> str:
    return jwt.encode(claims(**changes), secret, algorithm)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass
class Inside:
    """All services behind the gateway in one app. It keeps what it was sent, and streams what a test tells it to."""

    seen: list[Request] = field(default_factory=list[Request])
    bodies: list[bytes] = field(default_factory=list[bytes])
    pieces: "asyncio.Queue[bytes | None]" = field(default_factory=lambda: asyncio.Queue[bytes | None]())
    aborted: asyncio.Event = field(default_factory=asyncio.Event)
    answer: Callable[[], Response] = lambda: JSONResponse({"data": []})

    @property
    def last(self) -> Request:
        return self.seen[-1]

    @property
    def lines(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.seen]

    def stream(self, *, media_type: str = "text/event-stream", headers: dict[str, str] | None = None) -> Response:
        async def body() -> AsyncIterator[bytes]:
            try:
                while (piece := await self.pieces.get()) is not None:
                    yield piece
            except asyncio.CancelledError:
                self.aborted.set()
                raise

        return StreamingResponse(body(), media_type=media_type, headers=headers)

    def app(self) -> Starlette:
        async def anything(request: Request) -> Response:
            if request.url.path == "/healthz":
                return Response()
            self.seen.append(request)
            self.bodies.append(await request.body())
            return self.answer()

        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return Starlette(routes=[Route("/{path:path}", anything, methods=methods)])


SIGNING_KEY, PUBLIC_KEY = generate_signing_key()


def verifier_of(service: str) -> TokenVerifier:
    """Verify as one of the services inside, which trusts the gateway with all its scopes."""
    scopes = frozenset({CHAT, CONVERSATIONS_READ, CONVERSATIONS_WRITE, RUNS_READ, TASKS})
    return TokenVerifier(service, {"gateway": TrustedIssuer(public_key=PUBLIC_KEY, scopes=scopes)})


def _settings() -> dict[str, Any]:
    return {
        "internal_signing_key": SIGNING_KEY,
        "jwt_algorithm": "HS256",
        "better_auth_secret": SECRET,
        "jwt_issuer": ISSUER,
        # One user at one address sends here what thousands would.
        "rate_limit_user": "off",
        "rate_limit_address": "off",
    }


StartGateway = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
async def inside() -> Inside:
    return Inside()


@pytest.fixture
async def inside_url(inside: Inside) -> AsyncGenerator[str]:
    async with serve(inside.app()) as url:
        yield url


@pytest.fixture
def start_gateway(inside_url: str, redis_url: str) -> StartGateway:
    """Give a context manager that serves a gateway with changed settings and gives a client of it.

    `idle_seconds` is how long a connection may be idle between requests.
    """

    @asynccontextmanager
    async def start(*, idle_seconds: float = 5, **changes: Any) -> AsyncGenerator[httpx.AsyncClient]:
        urls = {"chat_url": inside_url, "history_url": inside_url, "tools_url": inside_url}
        settings = Settings.model_validate({**_settings(), **urls, "redis_url": redis_url, **changes})
        edge: dict[str, Any] = {**edge_options(settings, settings.trusted_proxies), "timeout_keep_alive": idle_seconds}
        async with serve(create_app(settings), **edge) as url, httpx.AsyncClient(base_url=url, timeout=10) as client:
            yield client

    return start


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> AsyncGenerator[httpx.AsyncClient]:
    """A gateway for HS256 tokens; the client sends a good one of `USER`."""
    async with start_gateway() as client:
        client.headers.update(bearer(secret_token()))
        yield client
