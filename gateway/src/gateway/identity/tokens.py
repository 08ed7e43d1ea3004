"""Verification of public tokens: Better Auth's JWTs (RFC 7519), by the rules of RFC 8725.

Algorithm, issuer and audience are fixed by configuration; what a token's header says of them, or of where its key
is to be found, decides nothing.
"""

import hashlib
import time
from typing import Final

import jwt
import structlog

from gateway.cache import ExpiringCache
from gateway.identity.keys import TokenKeys, UnknownKeyError
from gateway.settings import Settings
from service_kit.principal import TokenExpiredError, TokenInvalidError
from service_kit.signed_tokens import TokenForm, claims_of, header_of, is_user_id

log = structlog.get_logger(__name__)

CHALLENGE: Final = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
"""Tells that a token was refused (RFC 6750, section 3.1)."""


class PublicTokenVerifier:
    """Verifies tokens of one issuer for one audience."""

    def __init__(self, keys: TokenKeys, settings: Settings) -> None:
        self._keys = keys
        self._issuer = settings.issuer
        self._form = TokenForm(
            algorithm=settings.jwt_algorithm,
            types=frozenset({None, "jwt"}),
            max_bytes=settings.jwt_max_bytes,
            audience=settings.jwt_audience,
            leeway_seconds=settings.jwt_leeway_seconds,
            required=("iss", "aud", "exp", "iat", "sub"),
        )
        self._cache_seconds = settings.jwt_cache_seconds
        self._verified: ExpiringCache[bytes, tuple[str, float]] = ExpiringCache(settings.jwt_cache_entries)
        """By digest, on the monotonic clock: set back, the other one would let withdrawn keys live on."""

    async def user_of(self, token: str) -> str:
        """Return the id of the user whose valid token it is.

        Raises TokenInvalidError, TokenExpiredError, and KeysUnavailableError while the token cannot be judged.
        """
        if len(token) > self._form.max_bytes or not token.isascii():
            raise TokenInvalidError(headers=CHALLENGE)
        now = time.monotonic()
        digest = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(digest, now)
        if known is None or time.time() >= known[1]:
            user_id, expires_at = await self._verify(token)
            known = user_id, expires_at + self._form.leeway_seconds
            self._verified.put(digest, known, now + self._cache_seconds)
        return known[0]

    async def _verify(self, token: str) -> tuple[str, float]:
        try:
            key = await self._keys.key_for(header_of(token, self._form))
            claims = claims_of(token, self._form, (key,), self._issuer)
        except jwt.ExpiredSignatureError as error:
            raise TokenExpiredError(headers=CHALLENGE) from error
        except (jwt.InvalidTokenError, UnknownKeyError) as error:
            log.info("public_token_refused", reason=type(error).__name__)
            raise TokenInvalidError(headers=CHALLENGE) from error
        if not is_user_id(claims["sub"]):
            raise TokenInvalidError(headers=CHALLENGE)
        return claims["sub"], claims["exp"]
