"""Public keys of the issuer, from its JSON Web Key Set (RFC 7517).

Keys are fetched when first needed, again in the background once they are old, and at once for an unknown key id,
but then not more often than the floor allows. The last good keys stay while the issuer does not answer. While it
does, tokens of a key that it withdrew are refused after `JWKS_MAX_AGE_SECONDS` + `JWT_CACHE_SECONDS` at the latest.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pydantic import BaseModel, ValidationError

from gateway.errors import KeysUnavailableError
from gateway.identity.keys import PublicKey, UnknownKeyError

log = structlog.get_logger(__name__)

FIRST_FETCH_RETRY_SECONDS = 1.0
"""Shortest time between two fetches while there is no key at all."""

MAX_KEYS = 32
MAX_KEY_ID_LENGTH = 256
MIN_RSA_BITS = 2048

_KEY_TYPES: Final[Mapping[str, tuple[str, str | None]]] = {
    "EdDSA": ("OKP", "Ed25519"),
    "ES256": ("EC", "P-256"),
    "RS256": ("RSA", None),
}


class _KeySet(BaseModel):
    keys: list[dict[str, Any]]


def _usable_key(jwk: dict[str, Any], algorithm: str) -> PublicKey | None:
    """Return the key if it may verify signatures of the algorithm, by all that the set says of it."""
    key_type, curve = _KEY_TYPES[algorithm]
    fits = (
        jwk.get("kty") == key_type
        and (curve is None or jwk.get("crv") == curve)
        and jwk.get("alg", algorithm) == algorithm
        and jwk.get("use", "sig") == "sig"
        and "verify" in jwk.get("key_ops", ["verify"])
    )
    if not fits:
        return None
    try:
        key: PublicKey = jwt.PyJWK({name: value for name, value in jwk.items() if name != "d"}, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return None if isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA_BITS else key


def read_key_set(body: bytes, algorithm: str) -> dict[str, PublicKey]:
    """Return the usable keys of a JWKS by id. Raises ValidationError if it is none."""
    keys: dict[str, PublicKey] = {}
    for jwk in _KeySet.model_validate_json(body).keys[:MAX_KEYS]:
        key_id = jwk.get("kid")
        key = _usable_key(jwk, algorithm)
        if isinstance(key_id, str) and key is not None:
            keys[key_id] = key
    return keys


class JwksKeys:
    """The issuer's keys for one algorithm."""

    def __init__(
        self, client: httpx.AsyncClient, url: str, algorithm: str, *, floor_seconds: float, max_age_seconds: float
    ) -> None:
        self._client = client
        self._url = url
        self._algorithm = algorithm
        self._floor = floor_seconds
        self._max_age = max_age_seconds
        self._keys: dict[str, PublicKey] = {}
        self._fetch: asyncio.Task[None] | None = None
        self._next_refresh = 0.0
        self._next_search = 0.0

    async def key_for(self, header: dict[str, object]) -> PublicKey:
        """Return the key of the header's `kid`.

        Raises UnknownKeyError, and KeysUnavailableError while no key was ever fetched.
        """
        key_id = header.get("kid")
        if not isinstance(key_id, str) or not 0 < len(key_id) <= MAX_KEY_ID_LENGTH:
            raise UnknownKeyError("no key id")
        now = time.monotonic()
        key = self._keys.get(key_id)
        if key is not None:
            if now >= self._next_refresh:
                self.refresh()
            return key
        await self._search(now)
        key = self._keys.get(key_id)
        if key is None:
            if not self._keys:
                raise KeysUnavailableError(headers={"Retry-After": "1"})
            raise UnknownKeyError("unknown key id")
        return key

    def refresh(self) -> asyncio.Task[None]:
        """Fetch the keys, unless that is under way already; returns the fetch, which never fails."""
        if self._fetch is None or self._fetch.done():
            self._next_refresh = time.monotonic() + max(self._floor, FIRST_FETCH_RETRY_SECONDS)
            self._fetch = asyncio.create_task(self._load())
        return self._fetch

    async def close(self) -> None:
        """Stop a fetch that is under way."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.gather(self._fetch, return_exceptions=True)

    async def _search(self, now: float) -> None:
        under_way = self._fetch is not None and not self._fetch.done()
        if not under_way:
            if now < self._next_search:
                return
            self._next_search = now + (self._floor if self._keys else FIRST_FETCH_RETRY_SECONDS)
        await asyncio.shield(self.refresh())

    async def _load(self) -> None:
        try:
            response = await self._client.get(self._url)
            response.raise_for_status()
            keys = read_key_set(response.content, self._algorithm)
        except (httpx.HTTPError, ValidationError) as error:
            log.warning("jwks_fetch_failed", error=type(error).__name__, known_keys=len(self._keys))
            return
        if not keys:
            log.warning("jwks_without_usable_key", algorithm=self._algorithm, known_keys=len(self._keys))
            return
        self._next_refresh = time.monotonic() + self._max_age
        if keys.keys() != self._keys.keys():
            log.info("jwks_changed", keys=len(keys))
        self._keys = keys
