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

log = structlog.get_logger(__name__)

MAX_USER_ID_LENGTH = 255

_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer error="invalid_token"'}

_FORBIDDEN_HEADERS: Final = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip"})
"""They bring or name a key of the token's own choice, or change how it is to be read."""


class PublicTokenVerifier:
    """Verifies tokens of one issuer for one audience."""

    def __init__(self, keys: TokenKeys, settings: Settings) -> None:
        self._keys = keys
        self._algorithm = settings.jwt_algorithm
        self._issuer = settings.issuer
        self._audience = settings.jwt_audience
        self._leeway = settings.jwt_leeway_seconds
        self._max_bytes = settings.jwt_max_bytes
        self._cache_seconds = settings.jwt_cache_seconds
        self._verified: ExpiringCache[bytes, str] = ExpiringCache(settings.jwt_cache_entries)

    async def user_of(self, token: str) -> str:
        """Return the id of the user whose valid token it is.

        Raises TokenInvalidError, TokenExpiredError, and KeysUnavailableError while no token can be judged.
        """
        if len(token) > self._max_bytes or token.count(".") != 2 or not token.isascii():
            raise TokenInvalidError(headers=_CHALLENGE)
        now = time.time()
        digest = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(digest, now)
        if known is not None:
            return known
        user_id, expires_at = await self._verify(token)
        self._verified.put(digest, user_id, min(expires_at + self._leeway, now + self._cache_seconds))
        return user_id

    async def _verify(self, token: str) -> tuple[str, float]:
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") != self._algorithm or not _FORBIDDEN_HEADERS.isdisjoint(header):
                raise TokenInvalidError(headers=_CHALLENGE)
            claims = jwt.decode(
                token,
                await self._keys.key_for(header),
                algorithms=[self._algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options={"require": ["iss", "aud", "exp", "iat", "sub"]},
            )
            user_id, expires_at = str(claims["sub"]), float(claims["exp"])
        except jwt.ExpiredSignatureError as error:
            raise TokenExpiredError(headers=_CHALLENGE) from error
        except (jwt.InvalidTokenError, UnknownKeyError, ValueError, TypeError, OverflowError) as error:
            log.info("public_token_refused", reason=type(error).__name__)
            raise TokenInvalidError(headers=_CHALLENGE) from error
        if not 0 < len(user_id) <= MAX_USER_ID_LENGTH or not user_id.isprintable() or "/" in user_id:
            raise TokenInvalidError(headers=_CHALLENGE)
        return user_id, expires_at
