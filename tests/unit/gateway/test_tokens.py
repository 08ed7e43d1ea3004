"""Forged, altered, confused and outdated tokens."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import OKPAlgorithm

from gateway.identity.keys import PublicKey, SharedSecret, UnknownKeyError
from gateway.identity.tokens import PublicTokenVerifier
from gateway.settings import Settings
from service_kit.internal_tokens import generate_signing_key
from service_kit.principal import TokenExpiredError, TokenInvalidError

SECRET = "a-shared-secret-of-more-than-32-bytes"
ISSUER = "https://issuer.test"
EDDSA_KEY = Ed25519PrivateKey.generate()
RSA_KEY = generate_private_key(65537, 2048)

Forge = Callable[[], str]


class FixedKeys:
    """Knows one key."""

    def __init__(self, key: PublicKey) -> None:
        self.key = key
        self.asked = 0

    async def key_for(self, header: dict[str, object]) -> PublicKey:
        self.asked += 1
        if header.get("kid") != "key-1":
            raise UnknownKeyError()
        return self.key


def settings(algorithm: str, **changes: Any) -> Settings:
    given: dict[str, Any] = {
        "internal_signing_key": generate_signing_key()[0],
        "jwt_algorithm": algorithm,
        "better_auth_secret": SECRET,
        "jwt_issuer": ISSUER,
        "jwt_leeway_seconds": 0,
        **changes,
    }
    return Settings.model_validate(given)


def claims(**changes: object) -> dict[str, object]:
    now = int(time.time())
    good = {"iss": ISSUER, "aud": "threadkeep", "sub": "ann", "iat": now, "exp": now + 300}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(
    headers: dict[str, object] | None = None, key: Any = EDDSA_KEY, alg: str = "EdDSA", **changes: object
) -> str:
    return jwt.encode(claims(**changes), key, alg, headers={"kid": "key-1", **(headers or {})})


def segment(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def hmac_signed(key: bytes, header: dict[str, object]) -> str:
    """Sign by hand: libraries refuse to use a public key as a secret, an attacker does not."""
    signing_input = f"{segment(header)}.{segment(claims())}"
    return f"{signing_input}.{segment(hmac.digest(key, signing_input.encode(), hashlib.sha256))}"


def public_pem(key: Ed25519PrivateKey | RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def altered(token: str, **changes: object) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{segment(claims(**changes))}.{signature}"


def attacker_jwk(key: Ed25519PrivateKey) -> dict[str, object]:
    return {**OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "key-1"}


ATTACKER = Ed25519PrivateKey.generate()

REFUSED: dict[str, Forge] = {
    "no algorithm": lambda: f"{segment({'alg': 'none', 'kid': 'key-1'})}.{segment(claims())}.",
    "no algorithm, in capitals": lambda: f"{segment({'alg': 'NONE', 'kid': 'key-1'})}.{segment(claims())}.",
    "no algorithm, another signature": lambda: (
        f"{segment({'alg': 'none', 'kid': 'key-1'})}.{segment(claims())}.{signed().split('.')[2]}"
    ),
    "no algorithm at all": lambda: f"{segment({'kid': 'key-1'})}.{segment(claims())}.{signed().split('.')[2]}",
    "no signature": lambda: ".".join(signed().split(".")[:2]) + ".",
    "public key as secret": lambda: hmac_signed(public_pem(EDDSA_KEY), {"alg": "HS256", "kid": "key-1"}),
    "raw public key as secret": lambda: hmac_signed(
        EDDSA_KEY.public_key().public_bytes_raw(), {"alg": "HS256", "kid": "key-1"}
    ),
    "public key as secret, algorithm as configured": lambda: hmac_signed(
        public_pem(EDDSA_KEY), {"alg": "EdDSA", "kid": "key-1"}
    ),
    "shared secret": lambda: signed(key=SECRET, alg="HS256"),
    "another algorithm": lambda: signed(key=RSA_KEY, alg="RS256"),
    "another key": lambda: signed(key=ATTACKER),
    "embedded key": lambda: signed({"jwk": attacker_jwk(ATTACKER)}, key=ATTACKER),
    "embedded key beside a good signature": lambda: signed({"jwk": attacker_jwk(EDDSA_KEY)}),
    "key address": lambda: signed({"jku": "http://127.0.0.1:1/jwks"}),
    "certificate address": lambda: signed({"x5u": "http://127.0.0.1:1/cert"}),
    "certificate": lambda: signed({"x5c": ["MIIB"]}),
    "critical extension": lambda: signed({"crit": ["exp"]}),
    "unencoded payload": lambda: f"{segment({'alg': 'EdDSA', 'kid': 'key-1', 'b64': False, 'crit': ['b64']})}..x",
    "unknown key id": lambda: signed({"kid": "key-2"}),
    "key id like a path": lambda: signed({"kid": "../../../dev/null"}),
    "key id like SQL": lambda: signed({"kid": "key-1' OR '1'='1"}),
    "key id that is no text": lambda: f"{segment({'alg': 'EdDSA', 'kid': ['key-1']})}.{segment(claims())}.x",
    "no key id": lambda: jwt.encode(claims(), EDDSA_KEY, "EdDSA"),
    "another user": lambda: altered(signed(), sub="bob"),
    "a longer life": lambda: altered(signed(), exp=int(time.time()) + 10**6),
    "another issuer": lambda: signed(iss="https://evil.test"),
    "an issuer like ours": lambda: signed(iss=ISSUER + "/"),
    "several issuers": lambda: f"{signed().split('.')[0]}.{segment(claims(iss=[ISSUER]))}.x",
    "no issuer": lambda: signed(iss=None),
    "another audience": lambda: signed(aud="another"),
    "audience of an inner service": lambda: signed(aud="history-service"),
    "no audience": lambda: signed(aud=None),
    "empty audience": lambda: signed(aud=[]),
    "no expiry": lambda: signed(exp=None),
    "expiry that is no number": lambda: signed(exp="tomorrow"),
    "no issue time": lambda: signed(iat=None),
    "issued in the future": lambda: signed(iat=int(time.time()) + 60),
    "not valid yet": lambda: signed(nbf=int(time.time()) + 60),
    "start that is no number": lambda: signed(nbf="today"),
    "no subject": lambda: signed(sub=None),
    "empty subject": lambda: signed(sub=""),
    "long subject": lambda: signed(sub="a" * 256),
    "subject with a path": lambda: signed(sub="ann/../bob"),
    "subject with a line break": lambda: signed(sub="ann\nbob"),
    "payload that is no object": lambda: jwt.api_jws.encode(b"[1]", EDDSA_KEY, "EdDSA", {"kid": "key-1"}),
    "payload that is no JSON": lambda: jwt.api_jws.encode(b"{", EDDSA_KEY, "EdDSA", {"kid": "key-1"}),
    "empty": lambda: "",
    "dots": lambda: "..",
    "one part": lambda: "abc",
    "two parts": lambda: ".".join(signed().split(".")[:2]),
    "four parts": lambda: signed() + ".abc",
    "five parts (JWE)": lambda: "a.b.c.d.e",
    "garbage": lambda: "!!!.???.***",
    "not ASCII": lambda: signed() + "é",
    "deeply nested header": lambda: f"{segment(b'[' * 3000)}.e30.x",
    "oversized": lambda: signed(name="x" * 9000),
    "quoted": lambda: f'"{signed()}"',
    "doubled": lambda: signed() + signed(),
}


@pytest.fixture
def verifier() -> PublicTokenVerifier:
    return PublicTokenVerifier(FixedKeys(EDDSA_KEY.public_key()), settings("EdDSA"))


@pytest.mark.parametrize("name", REFUSED)
async def test_a_bad_token_is_refused(verifier: PublicTokenVerifier, name: str) -> None:
    with pytest.raises(TokenInvalidError) as refusal:
        await verifier.user_of(REFUSED[name]())
    assert refusal.value.code == "token_invalid"


async def test_an_expired_token_is_told_so(verifier: PublicTokenVerifier) -> None:
    with pytest.raises(TokenExpiredError):
        await verifier.user_of(signed(exp=int(time.time()) - 1, iat=int(time.time()) - 100))


async def test_a_forged_expired_token_is_not(verifier: PublicTokenVerifier) -> None:
    with pytest.raises(TokenInvalidError) as refusal:
        await verifier.user_of(signed(key=ATTACKER, exp=1))
    assert refusal.value.code == "token_invalid"


async def test_good_tokens_name_their_user(verifier: PublicTokenVerifier) -> None:
    assert await verifier.user_of(signed()) == "ann"
    assert await verifier.user_of(signed(aud=["threadkeep", "another"], nbf=int(time.time()))) == "ann"
    assert await verifier.user_of(signed(email="ann@example.com", role="admin")) == "ann"


async def test_the_leeway_is_a_setting() -> None:
    late = signed(exp=int(time.time()) - 5)
    keys = FixedKeys(EDDSA_KEY.public_key())
    assert await PublicTokenVerifier(keys, settings("EdDSA", jwt_leeway_seconds=30)).user_of(late) == "ann"
    with pytest.raises(TokenExpiredError):
        await PublicTokenVerifier(keys, settings("EdDSA", jwt_leeway_seconds=2)).user_of(late)


async def test_the_shared_secret_form_takes_nothing_else() -> None:
    verifier = PublicTokenVerifier(SharedSecret(SECRET), settings("HS256"))
    assert await verifier.user_of(signed(key=SECRET, alg="HS256")) == "ann"
    assert await verifier.user_of(jwt.encode(claims(), SECRET, "HS256")) == "ann"
    for forged in (
        signed(),
        signed(key=RSA_KEY, alg="RS256"),
        signed(key=SECRET + SECRET, alg="HS512"),
        jwt.encode(claims(), "another-secret-of-more-than-32-bytes!", "HS256"),
        REFUSED["no algorithm"](),
        altered(jwt.encode(claims(), SECRET, "HS256"), sub="bob"),
    ):
        with pytest.raises(TokenInvalidError):
            await verifier.user_of(forged)


async def test_a_verified_token_is_remembered_for_the_set_time_only() -> None:
    keys = FixedKeys(EDDSA_KEY.public_key())
    remembering = PublicTokenVerifier(keys, settings("EdDSA"))
    token = signed()
    for _ in range(3):
        await remembering.user_of(token)
    assert keys.asked == 1
    forgetful = PublicTokenVerifier(keys, settings("EdDSA", jwt_cache_seconds=0))
    for _ in range(3):
        await forgetful.user_of(token)
    assert keys.asked == 4


async def test_a_remembered_token_still_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = PublicTokenVerifier(FixedKeys(EDDSA_KEY.public_key()), settings("EdDSA"))
    token = signed(exp=int(time.time()) + 10)
    assert await verifier.user_of(token) == "ann"
    now = time.time()
    monkeypatch.setattr("gateway.identity.tokens.time.time", lambda: now + 11)
    # PyJWT has a clock of its own, so what is left of the token's life there is 10 s: only the memory can say no.
    keys = FixedKeys(ATTACKER.public_key())
    monkeypatch.setattr(verifier, "_keys", keys)
    with pytest.raises(TokenInvalidError):
        await verifier.user_of(token)
    assert keys.asked == 1


async def test_an_altered_token_is_not_taken_for_a_remembered_one(verifier: PublicTokenVerifier) -> None:
    token = signed()
    await verifier.user_of(token)
    with pytest.raises(TokenInvalidError):
        await verifier.user_of(altered(token, sub="bob"))
