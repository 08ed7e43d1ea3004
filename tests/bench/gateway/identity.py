"""Better Auth as the gateway sees it, in its default form: one Ed25519 key, and tokens of many users."""

import json
import time
from dataclasses import dataclass, field

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

JWKS_PATH = "/api/auth/jwks"
ISSUER = "http://localhost:3000"
AUDIENCE = "threadkeep"
TOKEN_SECONDS = 3600
_KEY_ID = "bench"


@dataclass(frozen=True)
class Issuer:
    """A key and what it signs."""

    _key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def jwks(self) -> str:
        """The key set that it publishes."""
        jwk = OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return json.dumps({"keys": [{**jwk, "kid": _KEY_ID, "alg": "EdDSA"}]})

    def settings(self, url: str) -> dict[str, str]:
        """Return the gateway's settings for tokens of this issuer, whose keys are at `url`."""
        return {"JWT_ALGORITHM": "EdDSA", "JWT_ISSUER": ISSUER, "JWKS_URL": url + JWKS_PATH}

    def tokens(self, users: int) -> dict[str, str]:
        """Return a token for each of so many users, by user id."""
        now = int(time.time())
        common = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + TOKEN_SECONDS}
        return {
            user_id: jwt.encode(
                {"sub": user_id, "email": f"{user_id}@example.com", **common},
                self._key,
                "EdDSA",
                headers={"kid": _KEY_ID},
            )
            for user_id in (f"user{number:028d}" for number in range(users))
        }
