"""ChatKit sessions: short-lived client secrets that open a user's chat routes, and nothing else, to an embedded page.

A client secret is a JWS (RFC 7515) that only gateways make and read. Its key is derived (HKDF, RFC 5869) from the key
that the gateway signs internal tokens with, so that neither of both can pass for the other. Its header is always the
same bytes: a token that begins otherwise is no client secret, and is never read as one.
"""

import base64
import hashlib
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import jwt
import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from redis.exceptions import RedisError

from contracts.ids import uuid7
from gateway.cache import ExpiringCache
from gateway.errors import SessionExpiredError, SessionRevokedError, SessionsUnavailableError
from gateway.identity.session_revocations import SessionRevocations
from gateway.identity.tokens import CHALLENGE
from gateway.settings import Settings
from service_kit.principal import TokenInvalidError
from service_kit.signed_tokens import TokenForm, claims_of, header_of

log = structlog.get_logger(__name__)

ISSUER: Final = "gateway"
AUDIENCE: Final = "chatkit-session"
ALGORITHM: Final = "HS256"

TYPE: Final = "chatkit-session+jwt"
_KEY_INFO: Final = b"threadkeep chatkit-session v1"
_KEY_BYTES: Final = 32
_HEADER: Final = {"typ": TYPE}

CLIENT_SECRET_PREFIX: Final = jwt.encode({}, "k" * _KEY_BYTES, ALGORITHM, headers=_HEADER).partition(".")[0] + "."
"""What every client secret begins with: its header."""


@dataclass(frozen=True, slots=True)
class ChatKitSession:
    """What a client secret stands for. `issued_at` and `expires_at` are seconds since the epoch."""

    session_id: str
    user_id: str
    thread_id: str | None
    """The only thread that it opens; None for all of the user's."""

    issued_at: float
    expires_at: int

    @property
    def expiry(self) -> datetime:
        """The moment from which the client secret is refused (UTC)."""
        return datetime.fromtimestamp(self.expires_at, UTC)


def derive_key(signing_key: str) -> bytes:
    """Return the key of client secrets that belongs to a signing key (base64url of the raw 32 bytes)."""
    raw = base64.urlsafe_b64decode(signing_key + "=" * (-len(signing_key) % 4))
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=_KEY_INFO).derive(raw)


class ChatKitSessions:
    """Makes client secrets and verifies them."""

    def __init__(self, settings: Settings, revocations: SessionRevocations) -> None:
        self.revocations = revocations
        self._key = derive_key(settings.signing_key)
        self._seconds = settings.chatkit_session_seconds
        self._form = TokenForm(
            algorithm=ALGORITHM,
            types=frozenset({TYPE}),
            max_bytes=settings.jwt_max_bytes,
            audience=AUDIENCE,
            leeway_seconds=settings.jwt_leeway_seconds,
            required=("iss", "aud", "sub", "sid", "iat", "exp"),
        )
        self._trusted_seconds = settings.session_revocation_seconds
        self._trusts_unknown = settings.session_revocation_fail == "open"
        self._verified: ExpiringCache[bytes, ChatKitSession] = ExpiringCache(settings.jwt_cache_entries)
        """By digest, on the monotonic clock: set back, the other one would let revoked sessions live on."""

    def create(self, user_id: str, *, thread_id: str | None, seconds: int | None) -> tuple[str, ChatKitSession]:
        """Return a client secret and its session; no session lives longer than `CHATKIT_SESSION_SECONDS`."""
        now = time.time()
        lifetime = self._seconds if seconds is None else min(seconds, self._seconds)
        session = ChatKitSession(f"cks_{uuid7().hex}", user_id, thread_id, now, math.floor(now) + lifetime)
        claims: dict[str, object] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "sid": session.session_id,
            "iat": session.issued_at,
            "exp": session.expires_at,
        }
        if thread_id is not None:
            claims["thread"] = thread_id
        return jwt.encode(claims, self._key, ALGORITHM, headers=_HEADER), session

    async def session_of(self, client_secret: str) -> ChatKitSession:
        """Return the session of a valid client secret.

        Raises TokenInvalidError, SessionExpiredError, SessionRevokedError, and SessionsUnavailableError while Redis
        does not answer and `SESSION_REVOCATION_FAIL` is `closed`.
        """
        now = time.monotonic()
        digest = hashlib.sha256(client_secret.encode()).digest()
        known = self._verified.get(digest, now)
        if known is not None and time.time() < known.expires_at + self._form.leeway_seconds:
            return known
        session = self._read(client_secret)
        if await self._is_revoked(session):
            raise SessionRevokedError(headers=CHALLENGE)
        self._verified.put(digest, session, now + self._trusted_seconds)
        return session

    def _read(self, client_secret: str) -> ChatKitSession:
        try:
            header_of(client_secret, self._form)
            claims = claims_of(client_secret, self._form, (self._key,), ISSUER)
        except jwt.ExpiredSignatureError as error:
            raise SessionExpiredError(headers=CHALLENGE) from error
        except jwt.InvalidTokenError as error:
            log.info("client_secret_refused", reason=type(error).__name__)
            raise TokenInvalidError(headers=CHALLENGE) from error
        # Made while sessions were allowed to live longer: its revocation might be forgotten before it ends.
        if claims["exp"] - claims["iat"] > self._seconds:
            raise SessionExpiredError(headers=CHALLENGE)
        return ChatKitSession(claims["sid"], claims["sub"], claims.get("thread"), claims["iat"], claims["exp"])

    async def _is_revoked(self, session: ChatKitSession) -> bool:
        try:
            return await self.revocations.is_revoked(session.user_id, session.session_id, session.issued_at)
        except (RedisError, TimeoutError) as error:
            log.warning("revocations_unknown", error=type(error).__name__, accepted=self._trusts_unknown)
            if self._trusts_unknown:
                return False
            raise SessionsUnavailableError(headers={"Retry-After": "1"}) from error
