"""Internal tokens: short-lived EdDSA JWTs by which one service proves to another who is acting.

Each sender signs with its own Ed25519 key; each receiver knows which sender may use which scopes. The algorithm is
fixed here and never taken from a token (RFC 8725, section 3.1).

There is no `jti` and no memory of used tokens: the gateway sends one token with many requests of a user, so a receiver
that took each only once would refuse good ones. A stolen token is good for its minute, for its user, scopes and
audience; what must not happen twice has an idempotency key.
"""

import base64
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from contracts.principal import INTERNAL_ALGORITHM, INTERNAL_TYPE, MAX_TOKEN_SECONDS, Principal, TrustedIssuer
from service_kit.ed25519_keys import require_strong
from service_kit.signed_tokens import TokenForm, claims_of, header_of, is_user_id

CLOCK_LEEWAY_SECONDS = 5
"""How far clocks may differ. A token is taken until so long after its `exp`."""

MAX_CLAIM_LENGTH = 255
MAX_TOKEN_BYTES = 4096
MAX_KEPT_PRINCIPALS = 10_000


class InternalTokenError(Exception):
    """The token proves nothing: malformed, forged, for somebody else, too long-lived or expired."""

    def __init__(self, reason: str, *, expired: bool = False) -> None:
        self.expired = expired
        super().__init__(reason)


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def generate_signing_key() -> tuple[str, str]:
    """Make a key pair; returns (private, public), each base64url of the raw 32 bytes."""
    private = Ed25519PrivateKey.generate()
    pair = (private.private_bytes_raw(), private.public_key().public_bytes_raw())
    signing_key, public_key = (base64.urlsafe_b64encode(raw).rstrip(b"=").decode() for raw in pair)
    return signing_key, public_key


def public_key_of(signing_key: str) -> str:
    """Return the public key (base64url, raw) that belongs to a private one."""
    raw = Ed25519PrivateKey.from_private_bytes(_decode(signing_key)).public_key().public_bytes_raw()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class TokenSigner:
    """Signs tokens as one service."""

    def __init__(self, issuer: str, signing_key: str) -> None:
        self._issuer = issuer
        self._key = Ed25519PrivateKey.from_private_bytes(_decode(signing_key))

    def sign(
        self,
        audience: str | Iterable[str],
        scopes: Iterable[str],
        *,
        user_id: str | None = None,
        run_id: str | None = None,
        thread_id: str | None = None,
        request_id: str | None = None,
        seconds: int = MAX_TOKEN_SECONDS,
    ) -> str:
        """Return a token for the audience(s) that lives `seconds` (at most 60)."""
        if not 0 < seconds <= MAX_TOKEN_SECONDS:
            raise ValueError(f"an internal token lives at most {MAX_TOKEN_SECONDS} s")
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": self._issuer,
            "aud": audience if isinstance(audience, str) else list(audience),
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + seconds,
        }
        optional = {"sub": user_id, "run": run_id, "thread": thread_id, "rid": request_id}
        claims.update({name: value for name, value in optional.items() if value is not None})
        header = {"kid": self._issuer, "typ": INTERNAL_TYPE}
        return jwt.encode(claims, self._key, INTERNAL_ALGORITHM, headers=header)


@dataclass(frozen=True)
class _Sender:
    keys: tuple[Ed25519PublicKey, ...]
    scopes: frozenset[str]


def _sender(trusted: TrustedIssuer) -> _Sender:
    texts = (trusted.public_key, trusted.rotating_public_key)
    keys = (Ed25519PublicKey.from_public_bytes(_decode(text)) for text in texts if text)
    return _Sender(tuple(require_strong(key) for key in keys), trusted.scopes)


class TokenVerifier:
    """Verifies tokens as one receiver, against the senders it trusts.

    What was verified is remembered until it expires, so that a sender who reuses a token costs no signature check a
    request. A token cannot be taken back within its minute; nothing is lost by remembering it.
    """

    def __init__(self, audience: str, trust: Mapping[str, TrustedIssuer]) -> None:
        self._form = TokenForm(
            algorithm=INTERNAL_ALGORITHM,
            types=frozenset({INTERNAL_TYPE}),
            max_bytes=MAX_TOKEN_BYTES,
            audience=audience,
            leeway_seconds=CLOCK_LEEWAY_SECONDS,
            required=("iss", "aud", "iat", "exp", "scope"),
        )
        self._trust = {issuer: _sender(trusted) for issuer, trusted in trust.items()}
        self._kept: dict[str, tuple[float, Principal]] = {}

    def verify(self, token: str) -> Principal:
        """Return the principal of a valid token. Raises InternalTokenError for any other.

        Scopes that the sender may not use are an error, not silently dropped.
        """
        kept = self._kept.get(token)
        if kept is not None and time.time() < kept[0]:
            return kept[1]
        principal, expires_at = self._verify(token)
        self.remember(token, principal, expires_at)
        return principal

    def remember(self, token: str, principal: Principal, expires_at: float) -> None:
        """Take a token to prove `principal` until `expires_at`: for one that this process has verified, or has signed
        itself with a key, scopes and an audience that it would verify.
        """
        if len(self._kept) >= MAX_KEPT_PRINCIPALS:
            self._kept.clear()
        self._kept[token] = (expires_at, principal)

    def _verify(self, token: str) -> tuple[Principal, float]:
        try:
            issuer = header_of(token, self._form).get("kid")
            sender = self._trust.get(issuer) if isinstance(issuer, str) else None
            if not isinstance(issuer, str) or sender is None:
                raise InternalTokenError("unknown issuer")
            claims = claims_of(token, self._form, sender.keys, issuer)
        except jwt.ExpiredSignatureError as error:
            raise InternalTokenError("expired", expired=True) from error
        except jwt.InvalidTokenError as error:
            raise InternalTokenError("invalid") from error
        if not 0 < claims["exp"] - claims["iat"] <= MAX_TOKEN_SECONDS:
            raise InternalTokenError("lives too long, or not at all")
        return _principal(issuer, claims, sender.scopes), claims["exp"]


def _principal(issuer: str, claims: Mapping[str, Any], allowed: frozenset[str]) -> Principal:
    scope, user_id = claims["scope"], claims.get("sub")
    if not isinstance(scope, str) or not (user_id is None or is_user_id(user_id)):
        raise InternalTokenError("malformed scope or subject")
    scopes = frozenset(scope.split())
    if not scopes <= allowed:
        raise InternalTokenError("scope not allowed to this issuer")
    run_id, thread_id, request_id = (_optional_text(claims.get(name)) for name in ("run", "thread", "rid"))
    return Principal(
        issuer=issuer, scopes=scopes, user_id=user_id, run_id=run_id, thread_id=thread_id, request_id=request_id
    )


def _optional_text(value: object) -> str | None:
    if value is not None and not (isinstance(value, str) and len(value) <= MAX_CLAIM_LENGTH and value.isprintable()):
        raise InternalTokenError("malformed claim")
    return value
