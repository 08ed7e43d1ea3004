"""Who makes tokens: one that a place trusts, and attackers who know all that is public of it."""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import Algorithm, ECAlgorithm, OKPAlgorithm, RSAAlgorithm, get_default_algorithms

ALGORITHMS: Mapping[str, Algorithm] = get_default_algorithms()

ATTACKERS: Mapping[str, Any] = {
    "EdDSA": Ed25519PrivateKey.generate(),
    "ES256": generate_ec_key(SECP256R1()),
    "RS256": generate_rsa_key(65537, 2048),
    "HS256": b"the-attackers-secret-of-more-than-32-bytes",
}
"""Keys of an attacker's own, by algorithm."""

JWK_OF = {"EdDSA": OKPAlgorithm.to_jwk, "ES256": ECAlgorithm.to_jwk, "RS256": RSAAlgorithm.to_jwk}


def generate_key(algorithm: str) -> Any:
    """Make a private key for an asymmetric algorithm."""
    makers = {"EdDSA": Ed25519PrivateKey.generate, "ES256": lambda: generate_ec_key(SECP256R1())}
    return makers[algorithm]() if algorithm in makers else generate_rsa_key(65537, 2048)


def jwk(algorithm: str, key: Any, key_id: str) -> dict[str, Any]:
    """Return the public key as an issuer publishes it."""
    return {**JWK_OF[algorithm](key.public_key(), as_dict=True), "kid": key_id, "alg": algorithm}


def encoded(value: object) -> str:
    """Return a part of a token: base64url of bytes, or of anything else as JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(part: str) -> bytes:
    """Return the bytes of a part."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def sign(algorithm: str, key: Any, data: str) -> bytes:
    """Sign by any algorithm with any key that it can use; nothing is checked, as an attacker checks nothing."""
    return ALGORITHMS[algorithm].sign(data.encode(), key)


@dataclass(frozen=True)
class Mint:
    """Makes tokens that one place accepts, and spoils them.

    `issuer` signs with `key`, for `audience`; a lifetime is in seconds. `extra` are claims beside the registered ones.
    """

    algorithm: str
    key: Any
    key_id: str
    kind: str
    issuer: str
    audience: str
    user_id: str
    lifetime: int
    extra: Mapping[str, object]

    @property
    def is_internal(self) -> bool:
        """Whether these are internal tokens."""
        return "scope" in self.extra

    @property
    def is_symmetric(self) -> bool:
        """Whether there is a secret instead of a key pair."""
        return self.algorithm == "HS256"

    @property
    def attacker(self) -> "Mint":
        """The same, with a key of the attacker's own."""
        return replace(self, key=ATTACKERS[self.algorithm])

    def header(self, **changes: object) -> dict[str, object]:
        """Return a good header, changed."""
        return {"alg": self.algorithm, "kid": self.key_id, "typ": self.kind, **changes}

    def claims(self, **changes: object) -> dict[str, object]:
        """Return good claims, changed; a change to `...` leaves a claim out."""
        now = int(time.time())
        good = {"iss": self.issuer, "aud": self.audience, "sub": self.user_id, "iat": now, "exp": now + self.lifetime}
        return {name: value for name, value in {**good, **self.extra, **changes}.items() if value is not ...}

    def token(self, **changes: object) -> str:
        """Return a token that is well signed, with changed claims."""
        return self.make(self.header(), self.claims(**changes))

    def headed(self, **changes: object) -> str:
        """Return a token with a changed header. It is well signed, unless with a secret: no header names that one."""
        mint = self.attacker if self.is_symmetric else self
        header = {name: value for name, value in mint.header(**changes).items() if value is not ...}
        return mint.make(header, self.claims())

    def make(self, header: object, payload: object, *, algorithm: str | None = None, key: Any = None) -> str:
        """Sign a header and a payload, each bytes or JSON, as they are."""
        data = f"{encoded(header)}.{encoded(payload)}"
        return f"{data}.{encoded(sign(algorithm or self.algorithm, self.key if key is None else key, data))}"

    def parts(self) -> list[str]:
        """Return the three parts of a good token."""
        return self.token().split(".")

    def public_forms(self) -> dict[str, bytes]:
        """Return the public key as it may be known, each of which could be tried as a secret."""
        if self.is_symmetric:
            return {}
        public = self.key.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        raw = {"EdDSA": (Encoding.Raw, PublicFormat.Raw), "ES256": (Encoding.X962, PublicFormat.UncompressedPoint)}
        chosen = raw.get(self.algorithm, (Encoding.DER, PublicFormat.PKCS1))
        published = jwk(self.algorithm, self.key, self.key_id)
        return {
            "PEM": pem,
            "PEM without its last newline": pem.rstrip(),
            "DER": der,
            "raw": public.public_bytes(*chosen),
            "JWK": json.dumps(published).encode(),
            "JWK, compact": json.dumps(published, separators=(",", ":")).encode(),
            "first member of the JWK": str(published.get("x") or published["n"]).encode(),
        }
