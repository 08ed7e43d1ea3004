"""An issuer of public tokens that changes its keys, goes away, and misbehaves. It stands at the network's edge."""

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway.app import create_app
from gateway.settings import Settings
from tests.security.foreign_tokens import PUBLIC_ISSUER, SIGNING_KEY, public_mint
from tests.security.mint import Mint, generate_key, jwk
from tests.support.servers import serve

PIECE = b" " * 65_536
MANY_PIECES = 16

Conduct = Callable[["RotatingIssuer"], Awaitable[Response]]


@dataclass
class RotatingIssuer:
    """Signs with its newest key; publishes those that it has not withdrawn."""

    algorithm: str = "EdDSA"
    mints: dict[str, Mint] = field(default_factory=dict[str, Mint])
    newest: str = ""
    fetches: int = 0
    answered: int = 0
    conduct: Conduct | None = None
    held: asyncio.Event | None = None
    redirects_followed: int = 0
    evil: Mint = field(init=False)

    def __post_init__(self) -> None:
        self.rotate("key-1")
        self.evil = replace(public_mint(self.algorithm), key_id="evil")

    def rotate(self, key_id: str) -> None:
        """Make a key, publish it beside the others, and sign with it from now on."""
        self.mints[key_id] = replace(public_mint(self.algorithm), key=generate_key(self.algorithm), key_id=key_id)
        self.newest = key_id

    def withdraw(self, key_id: str) -> Mint:
        """Publish a key no longer; returns who could still sign with it."""
        return self.mints.pop(key_id)

    def token(self, user_id: str = "ann", key_id: str = "", **changes: object) -> str:
        """Return a token of a user, signed with the newest key unless another is named."""
        return self.mints[key_id or self.newest].token(sub=user_id, **changes)

    def published(self, *more: Mint) -> bytes:
        """Return the key set."""
        return json.dumps(
            {"keys": [jwk(self.algorithm, mint.key, mint.key_id) for mint in (*self.mints.values(), *more)]}
        ).encode()

    def app(self) -> Starlette:
        """Make the issuer's server."""

        async def keys(_request: Request) -> Response:
            self.fetches += 1
            body = self.published()
            if self.held is not None:
                await self.held.wait()
            response = await self.conduct(self) if self.conduct else Response(body)
            self.answered += 1
            return response

        async def elsewhere(_request: Request) -> Response:
            self.redirects_followed += 1
            return Response(self.published(self.evil))

        return Starlette(routes=[Route("/api/auth/jwks", keys), Route("/elsewhere", elsewhere)])


def _answer(make: Callable[[RotatingIssuer], Response]) -> Conduct:
    async def conduct(issuer: RotatingIssuer) -> Response:
        return make(issuer)

    return conduct


def _many(issuer: RotatingIssuer) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield issuer.published(issuer.evil)
        for _ in range(MANY_PIECES):
            yield PIECE

    return StreamingResponse(pieces())


async def _forever(issuer: RotatingIssuer) -> Response:
    async def drops() -> AsyncIterator[bytes]:
        yield issuer.published(issuer.evil)
        while True:
            await asyncio.sleep(0.05)
            yield b" "

    return StreamingResponse(drops())


def _bomb(issuer: RotatingIssuer) -> Response:
    body = gzip.compress(issuer.published(issuer.evil) + b" " * 20_000_000, 9)
    return Response(body, headers={"Content-Encoding": "gzip"})


def _packed_small(issuer: RotatingIssuer) -> Response:
    return Response(gzip.compress(issuer.published(issuer.evil)), headers={"Content-Encoding": "gzip"})


def _keys(*keys: object) -> Conduct:
    return _answer(lambda _: JSONResponse({"keys": list(keys)}))


MISCONDUCT: Mapping[str, Conduct] = {
    "an error": _answer(lambda issuer: Response(issuer.published(issuer.evil), status_code=500)),
    "not found": _answer(lambda issuer: Response(issuer.published(issuer.evil), status_code=404)),
    "a page": _answer(lambda _: Response("<html>sign in</html>", media_type="text/html")),
    "nothing": _answer(lambda _: Response(b"")),
    "no keys": _keys(),
    "keys that are none": _keys(1, "key", None),
    "keys of other kinds": _keys({"kty": "oct", "k": "AAAA", "kid": "evil"}, {"kid": "evil"}),
    "keys with odd members": _keys(
        {"kty": 1, "kid": [], "key_ops": 5}, {"kty": "OKP", "crv": {}, "x": 7, "kid": "evil"}
    ),
    "deep JSON": _answer(lambda _: Response(b'{"keys":' + b"[" * 50_000)),
    "a redirect": _answer(lambda _: RedirectResponse("/elsewhere")),
    "a huge body": _answer(_many),
    "a packed bomb": _answer(_bomb),
    "a packed body": _answer(_packed_small),
    "a body without end": _forever,
}


@asynccontextmanager
async def gateway_of(issuer: RotatingIssuer, redis_url: str, **changes: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """Run the issuer, and a gateway that knows it; the service inside answers everything with 200."""

    async def anything(_request: Request) -> Response:
        return JSONResponse({"data": []})

    async with AsyncExitStack() as stack:
        inside = await stack.enter_async_context(serve(Starlette(routes=[Route("/{path:path}", anything)])))
        address = await stack.enter_async_context(serve(issuer.app()))
        values = {
            **dict.fromkeys(("chat_url", "history_url", "tools_url"), inside),
            "better_auth_url": address,
            "jwt_issuer": PUBLIC_ISSUER,
            "jwt_algorithm": issuer.algorithm,
            "jwt_cache_seconds": 0,
            "internal_signing_key": SIGNING_KEY,
            "redis_url": redis_url,
            "rate_limit_user": "off",
            "rate_limit_address": "off",
            **changes,
        }
        url = await stack.enter_async_context(serve(create_app(Settings.model_validate(values))))
        yield await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=20))
