"""Tokens that are good somewhere: who makes them, and what another place must not take them for."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts import principal as scopes
from contracts.principal import INTERNAL_TYPE, MAX_TOKEN_SECONDS, Service
from gateway.identity.sessions import AUDIENCE, CLIENT_SECRET_PREFIX, ISSUER, TYPE, derive_key
from service_kit.internal_tokens import TokenSigner, generate_signing_key
from tests.integration.chat_service.system import Senders
from tests.security.mint import Mint, decoded, encoded, generate_key

USER = "ann"
PUBLIC_ISSUER = "https://issuer.test"
PUBLIC_AUDIENCE = "threadkeep"
SECRET = b"a-shared-secret-of-more-than-32-bytes"
SIGNING_KEY = generate_signing_key()[0]
"""The gateway's."""

INNER: tuple[Service, ...] = ("chat-service", "history-service", "task-tools")

Foreign = Mapping[str, Callable[[], str]]
"""Each makes its token anew."""


def public_mint(algorithm: str) -> Mint:
    """Make an issuer of public tokens, with a key of its own unless there is the shared secret."""
    key = SECRET if algorithm == "HS256" else generate_key(algorithm)
    return Mint(algorithm, key, "key-1", "JWT", PUBLIC_ISSUER, PUBLIC_AUDIENCE, USER, 300, {})


def internal_mint(key: object, issuer: str, audience: str, scope: str) -> Mint:
    """Make a sender of internal tokens."""
    return Mint("EdDSA", key, issuer, INTERNAL_TYPE, issuer, audience, USER, MAX_TOKEN_SECONDS, {"scope": scope})


def session_mint() -> Mint:
    """Make what the gateway makes: client secrets of ChatKit sessions."""
    return Mint("HS256", derive_key(SIGNING_KEY), "", TYPE, ISSUER, AUDIENCE, USER, 300, {"sid": "cks_1"})


def client_secret(key: object = None, **changes: object) -> str:
    """Return a client secret. Its header is always the same bytes."""
    mint = session_mint()
    return mint.make(decoded(CLIENT_SECRET_PREFIX.rstrip(".")), mint.claims(**changes), key=key)


def private_key(senders: Senders, name: str) -> Ed25519PrivateKey:
    """Return a sender's private key."""
    return Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(senders.key(name).get_secret_value() + "="))


def _altered(token: str, claims: object) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{encoded(claims)}.{signature}"


def foreign_outside(mint: Mint) -> Foreign:
    """Return what the gateway refuses although somebody takes it."""
    gateway, session = TokenSigner("gateway", SIGNING_KEY), session_mint()
    return {
        "the gateway's own internal token": lambda: gateway.sign("task-tools", [scopes.TASKS], user_id=USER),
        "an internal token for the gateway": lambda: gateway.sign("gateway", [scopes.CHAT], user_id=USER),
        "a client secret without its kind": lambda: session.make({"alg": "HS256"}, session.claims()),
        "a client secret of the shared secret": lambda: client_secret(SECRET),
        "a client secret of the signing key itself": lambda: client_secret(SIGNING_KEY.encode()),
        "a client secret for public tokens' audience": lambda: client_secret(aud=PUBLIC_AUDIENCE, iss=PUBLIC_ISSUER),
        "a client secret with a key id": lambda: session.token(),
        "a client secret under a guessed key": lambda: client_secret(b"k" * 32),
        "a client secret, altered": lambda: _altered(client_secret(), session.claims(sub="bob")),
        "a client secret for another audience": lambda: client_secret(aud="chatkit"),
        "a client secret of another issuer": lambda: client_secret(iss=PUBLIC_ISSUER),
        "a client secret without a session": lambda: client_secret(sid=...),
        "a public token by the sessions' key": lambda: replace(mint, algorithm="HS256", key=session.key).token(),
    }


def foreign_inside(name: str, senders: Senders, mint: Mint) -> Foreign:
    """Return tokens of the right senders for other places, of the wrong ones for this place, and public ones."""
    scope = str(mint.extra["scope"])
    elsewhere = next(service for service in INNER if service != name)
    gateway, worker = senders.signer("gateway"), senders.signer("agent-worker")
    public, shared = public_mint("EdDSA"), public_mint("HS256")
    return {
        "a public token": public.token,
        "a public token under the shared secret": shared.token,
        "a public token in an internal one's dress": lambda: replace(public, key_id=mint.key_id).headed(
            typ=INTERNAL_TYPE
        ),
        "a public issuer's token with all claims of a good one": lambda: replace(mint, key=public.key).token(),
        "a ChatKit session": client_secret,
        "a ChatKit session for this audience": lambda: client_secret(aud=name, iss=mint.issuer, scope=scope),
        "its sender's token for another service": lambda: mint.token(aud=elsewhere),
        "the gateway's token for another service": lambda: gateway.sign(elsewhere, [scopes.CHAT], user_id=USER),
        "the right scope by the worker": lambda: worker.sign(name, [scope], user_id=USER),
        "the worker's token under the sender's name": lambda: replace(
            mint, key=private_key(senders, "agent-worker")
        ).token(),
        "the sender's token under the worker's name": lambda: mint.headed(kid="agent-worker"),
        "the sender's token as the worker's": lambda: replace(mint, key_id="agent-worker").token(iss="agent-worker"),
        "another service's scope by the sender": lambda: mint.token(scope=scopes.RUNS_WORK),
        "this service's own name": lambda: replace(mint, key_id=name).token(iss=name),
    }
