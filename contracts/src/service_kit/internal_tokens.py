"""Internal tokens: short-lived EdDSA JWTs by which one service proves to another who is acting.

Each sender signs with its own Ed25519 key; each receiver knows which sender may use which scopes. The algorithm is
fixed here and never taken from a token (RFC 8725, section 3.1).
"""

import base64
import time
from collections.abc import Iterable, Mapping

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from contracts.principal import INTERNAL_ALGORITHM, MAX_TOKEN_SECONDS, Principal, TrustedIssuer

CLOCK_LEEWAY_SECONDS = 5
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
        optional = {"sub": user_id, "run": run_id, "rid": request_id}
        claims.update({name: value for name, value in optional.items() if value is not None})
        return jwt.encode(claims, self._key, INTERNAL_ALGORITHM, headers={"kid": self._issuer})


class TokenVerifier:
    """Verifies tokens as one receiver, against the senders it trusts.

    What was verified is remembered until it expires, so that a sender who reuses a token costs no signature check a
    request. A token cannot be taken back within its minute; nothing is lost by remembering it.
    """

    def __init__(self, audience: str, trust: Mapping[str, TrustedIssuer]) -> None:
        self._audience = audience
        self._trust = {
            issuer: (Ed25519PublicKey.from_public_bytes(_decode(trusted.public_key)), trusted.scopes)
            for issuer, trusted in trust.items()
        }
        self._kept: dict[str, tuple[float, Principal]] = {}

    def verify(self, token: str) -> Principal:
        """Return the principal of a valid token. Raises InternalTokenError for any other.

        Scopes that the sender may not use are an error, not silently dropped.
        """
        kept = self._kept.get(token)
        if kept is not None and time.time() < kept[0]:
            return kept[1]
        principal, expires_at = self._verify(token)
        if len(self._kept) >= MAX_KEPT_PRINCIPALS:
            self._kept.clear()
        self._kept[token] = (expires_at, principal)
        return principal

    def _verify(self, token: str) -> tuple[Principal, float]:
        if len(token) > MAX_TOKEN_BYTES:
            raise InternalTokenError("oversized")
        try:
            issuer = jwt.get_unverified_header(token).get("kid")
            if not isinstance(issuer, str) or issuer not in self._trust:
                raise InternalTokenError("unknown issuer")
            key, allowed = self._trust[issuer]
            claims = jwt.decode(
                token,
                key,
                algorithms=[INTERNAL_ALGORITHM],
                audience=self._audience,
                issuer=issuer,
                leeway=CLOCK_LEEWAY_SECONDS,
                options={"require": ["iss", "aud", "iat", "exp", "scope"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise InternalTokenError("expired", expired=True) from error
        except jwt.InvalidTokenError as error:
            raise InternalTokenError("invalid") from error
        if claims["exp"] - claims["iat"] > MAX_TOKEN_SECONDS:
            raise InternalTokenError("lives too long")
        scopes = frozenset(str(claims["scope"]).split())
        if not scopes <= allowed:
            raise InternalTokenError("scope not allowed to this issuer")
        principal = Principal(
            issuer=issuer,
            scopes=scopes,
            user_id=claims.get("sub"),
            run_id=claims.get("run"),
            request_id=claims.get("rid"),
        )
        return principal, claims["exp"]
