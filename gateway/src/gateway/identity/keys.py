"""Where the keys of public tokens come from."""

from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey
"""Keys of EdDSA, ES256 and RS256."""


class UnknownKeyError(Exception):
    """The issuer has no key of that id."""


class TokenKeys(Protocol):
    """A source of keys for one fixed algorithm."""

    async def key_for(self, header: dict[str, object]) -> PublicKey | bytes:
        """Return the key that a token of this header must be signed with.

        Raises UnknownKeyError and KeysUnavailableError.
        """
        ...


class SharedSecret:
    """HS256: the one secret that is shared with the issuer, whatever the token's header says."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    async def key_for(self, header: dict[str, object]) -> bytes:
        """Return the secret."""
        return self._secret
