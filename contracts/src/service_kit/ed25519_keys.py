"""Ed25519 public keys that can be trusted with a signature."""

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_PRIME: Final = 2**255 - 19
_ORDER_8: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER: Final = frozenset({0, 1, _PRIME - 1, _ORDER_8, _PRIME - _ORDER_8})
"""The y coordinates of the eight points whose order divides the cofactor."""


class WeakKeyError(ValueError):
    """Under this key anybody can make signatures."""


def require_strong(key: Ed25519PublicKey) -> Ed25519PublicKey:
    """Return the key unless it is a point of small order. Raises WeakKeyError.

    Under such a key (32 zeros are one) a signature can be made up for any message, and OpenSSL does not look.
    """
    y = int.from_bytes(key.public_bytes_raw(), "little") & (2**255 - 1)
    if y % _PRIME in _SMALL_ORDER:
        raise WeakKeyError("a key of small order")
    return key
