"""Public keys of the issuer, from its JSON Web Key Set (RFC 7517).

Keys are fetched at the start, again in the background whenever they are old, and at once for an unknown key id,
but then not more often than the floor allows, unless a fetch has just brought a new key: at a rotation several come one
after the other. There is one fetch at a time, which everybody waits for who needs it.
The last good keys stay while the issuer does not answer, or answers with something else. While it does answer, tokens
of a key that it withdrew are refused after `JWKS_MAX_AGE_SECONDS` + `JWKS_FETCH_SECONDS` + `JWT_CACHE_SECONDS` at the
latest, with traffic or without.
"""

import asyncio
import time
from asyncio import TimerHandle
from collections.abc import Mapping
from typing import Any, Final

import httpx
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pydantic import BaseModel

from gateway.errors import KeysUnavailableError
from gateway.identity.keys import PublicKey, UnknownKeyError
from service_kit.ed25519_keys import require_strong

log = structlog.get_logger(__name__)

FIRST_FETCH_RETRY_SECONDS = 1.0
"""Shortest time between two fetches while there is no key at all."""

MAX_BODY_BYTES = 131_072
MAX_KEYS = 128
"""More than Better Auth publishes (100): at a rotation, many who make tokens may make a key each."""

MAX_KEY_ID_LENGTH = 256
RSA_BITS = range(2048, 8193)
"""Smaller keys can be broken, larger ones make each verification slow."""

_KEY_TYPES: Final[Mapping[str, tuple[str, str | None]]] = {
    "EdDSA": ("OKP", "Ed25519"),
    "ES256": ("EC", "P-256"),
    "RS256": ("RSA", None),
}


class KeySetError(Exception):
    """The issuer answered, but not with a key set that can be used."""


class _KeySet(BaseModel):
    keys: list[dict[str, Any]]


def _usable_key(jwk: dict[str, Any], algorithm: str) -> PublicKey | None:
    """Return the key if it may verify signatures of the algorithm, by all that the set says of it."""
    key_type, curve = _KEY_TYPES[algorithm]
    operations = jwk.get("key_ops", ["verify"])
    fits = (
        jwk.get("kty") == key_type
        and (curve is None or jwk.get("crv") == curve)
        and jwk.get("alg", algorithm) == algorithm
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )
    if not fits:
        return None
    try:
        key: PublicKey = jwt.PyJWK({name: value for name, value in jwk.items() if name != "d"}, algorithm).key
        if isinstance(key, Ed25519PublicKey):
            require_strong(key)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return None if isinstance(key, RSAPublicKey) and key.key_size not in RSA_BITS else key


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
        self,
        client: httpx.AsyncClient,
        url: str,
        algorithm: str,
        *,
        floor_seconds: float,
        max_age_seconds: float,
        fetch_seconds: float,
    ) -> None:
        self._client = client
        self._url = url
        self._algorithm = algorithm
        self._floor = floor_seconds
        self._max_age = max_age_seconds
        self._fetch_seconds = fetch_seconds
        self._keys: dict[str, PublicKey] = {}
        self._fetch: asyncio.Task[None] | None = None
        self._timer: TimerHandle | None = None
        self._next_search = 0.0
        self._is_current = False
        """Whether the last fetch brought keys."""

    async def key_for(self, header: dict[str, object]) -> PublicKey:
        """Return the key of the header's `kid`.

        Raises UnknownKeyError, and KeysUnavailableError for an id that may be good: the issuer cannot be asked.
        """
        key_id = header.get("kid")
        if not isinstance(key_id, str) or not 0 < len(key_id) <= MAX_KEY_ID_LENGTH:
            raise UnknownKeyError("no key id")
        if key_id not in self._keys:
            await self._search(key_id)
        key = self._keys.get(key_id)
        if key is None:
            if not self._is_current:
                raise KeysUnavailableError(headers={"Retry-After": "1"})
            raise UnknownKeyError("unknown key id")
        return key

    def refresh(self) -> asyncio.Task[None]:
        """Fetch the keys now, unless that is under way, and again from time to time; the fetch never fails."""
        if self._fetch is None or self._fetch.done():
            self._cancel_timer()
            self._fetch = asyncio.create_task(self._load())
        return self._fetch

    async def close(self) -> None:
        """Stop fetching."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.gather(self._fetch, return_exceptions=True)
        self._cancel_timer()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _is_fetching(self) -> bool:
        return self._fetch is not None and not self._fetch.done()

    async def _search(self, key_id: str) -> None:
        if self._is_fetching():
            # It may have begun before the issuer had this key, so it need not be the last word.
            await asyncio.shield(self.refresh())
            if key_id in self._keys:
                return
        now = time.monotonic()
        if not self._is_fetching():
            if now < self._next_search:
                return
            self._next_search = now + (self._floor if self._keys else FIRST_FETCH_RETRY_SECONDS)
        await asyncio.shield(self.refresh())

    async def _load(self) -> None:
        try:
            async with asyncio.timeout(self._fetch_seconds):
                keys = read_key_set(await self._download(), self._algorithm)
            if not keys:
                raise KeySetError("no usable key")
        except Exception as error:
            # Whatever it was, the keys that there are stay good, and nobody who needs one of them notices.
            log.warning("jwks_fetch_failed", error=type(error).__name__, known_keys=len(self._keys))
            self._is_current = False
            delay = max(self._floor, FIRST_FETCH_RETRY_SECONDS) if self._keys else FIRST_FETCH_RETRY_SECONDS
        else:
            if keys.keys() != self._keys.keys():
                log.info("jwks_changed", keys=len(keys))
            if not keys.keys() <= self._keys.keys():
                self._next_search = 0.0
            self._keys, self._is_current = keys, True
            delay = self._max_age
        self._timer = asyncio.get_running_loop().call_later(delay, self.refresh)

    async def _download(self) -> bytes:
        """Return the answer's body. It is not unpacked: a small body could become a very large one."""
        body = bytearray()
        async with self._client.stream("GET", self._url, headers={"Accept-Encoding": "identity"}) as response:
            response.raise_for_status()
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise KeySetError("packed, although asked not to")
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > MAX_BODY_BYTES:
                    raise KeySetError("too large")
        return bytes(body)
