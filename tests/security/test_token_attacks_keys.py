"""Weak, broken and foreign keys: in the issuer's key set, and in the list of those whom a service trusts."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key

from contracts.principal import RUNS_READ, TASKS, TrustedIssuer
from gateway.identity.jwks import read_key_set
from gateway.identity.keys import UnknownKeyError
from gateway.identity.tokens import PublicTokenVerifier
from gateway.settings import Settings
from service_kit.ed25519_keys import WeakKeyError, require_strong
from service_kit.internal_tokens import InternalTokenError, TokenSigner, TokenVerifier, generate_signing_key
from service_kit.principal import TokenInvalidError
from task_tools.settings import Settings as ToolsSettings
from tests.security.foreign_tokens import PUBLIC_ISSUER, SIGNING_KEY, internal_mint, public_mint
from tests.security.mint import encoded, generate_key, jwk

SMALL_ORDER = (
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("ec" + "ff" * 30 + "7f"),
    bytes.fromhex("ed" + "ff" * 30 + "7f"),
    bytes.fromhex("ee" + "ff" * 30 + "7f"),
)
"""Encodings of the points whose order divides 8, two of them not reduced; each has a twin with its sign bit set."""


def _okp(raw: bytes) -> dict[str, Any]:
    return {"kty": "OKP", "crv": "Ed25519", "x": encoded(raw)}


def _ec(x: bytes, y: bytes) -> dict[str, Any]:
    return {"kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y)}


def _rsa(modulus: int, exponent: int) -> dict[str, Any]:
    return {
        "kty": "RSA",
        "n": encoded(modulus.to_bytes((modulus.bit_length() + 7) // 8)),
        "e": encoded(exponent.to_bytes((exponent.bit_length() + 7) // 8)),
    }


_GOOD_EC = jwk("ES256", generate_key("ES256"), "k")
_GOOD_RSA = jwk("RS256", generate_key("RS256"), "k")
_MODULUS = int.from_bytes(base64.urlsafe_b64decode(_GOOD_RSA["n"] + "=="))

UNUSABLE: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"Ed25519 of small order {number}": ("EdDSA", _okp(raw)) for number, raw in enumerate(SMALL_ORDER)},
    **{
        f"Ed25519 of small order {number}, sign set": ("EdDSA", _okp(raw[:31] + bytes([raw[31] | 0x80])))
        for number, raw in enumerate(SMALL_ORDER)
    },
    "Ed25519 too short": ("EdDSA", _okp(b"\2" * 31)),
    "Ed25519 too long": ("EdDSA", _okp(b"\2" * 33)),
    "Ed448": ("EdDSA", {"kty": "OKP", "crv": "Ed448", "x": encoded(b"\2" * 57)}),
    "EC point that is not on the curve": ("ES256", _ec(b"\1" * 32, b"\1" * 32)),
    "EC point of zeros": ("ES256", _ec(bytes(32), bytes(32))),
    "EC point beyond the field": ("ES256", _ec(b"\xff" * 32, b"\xff" * 32)),
    "EC point cut off": ("ES256", {**_GOOD_EC, "x": encoded(b"\1" * 31)}),
    "EC point without y": ("ES256", {name: value for name, value in _GOOD_EC.items() if name != "y"}),
    "EC point of another curve": ("ES256", {**_GOOD_EC, "crv": "secp256k1"}),
    "RSA of 512 bits": ("RS256", _rsa((1 << 511) + 111, 65_537)),
    "RSA of 1024 bits": ("RS256", jwk("RS256", generate_rsa_key(65_537, 1_024), "k")),  # noqa: S505 - it is refused
    "RSA of 2047 bits": ("RS256", _rsa((1 << 2_046) + 111, 65_537)),
    "RSA of 16384 bits": ("RS256", _rsa((1 << 16_383) + 111, 65_537)),
    "RSA with exponent 1": ("RS256", _rsa(_MODULUS, 1)),
    "RSA with an even exponent": ("RS256", _rsa(_MODULUS, 2)),
    "RSA with exponent zero": ("RS256", {**_GOOD_RSA, "e": "AA"}),
    "RSA without modulus": ("RS256", {**_GOOD_RSA, "n": ""}),
    "a secret": ("EdDSA", {"kty": "oct", "k": "c2VjcmV0"}),
    "a secret for the configured algorithm": ("RS256", {"kty": "oct", "k": "c2VjcmV0", "alg": "RS256"}),
    "operations that are none": ("ES256", {**_GOOD_EC, "key_ops": 5}),
    "operations null": ("ES256", {**_GOOD_EC, "key_ops": None}),
    "a use that is a list": ("ES256", {**_GOOD_EC, "use": ["sig"]}),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_weak_or_broken_key_is_not_used(name: str) -> None:
    algorithm, key = UNUSABLE[name]
    good = jwk(algorithm, generate_key(algorithm), "good")
    body = json.dumps({"keys": [{"alg": algorithm, **key, "kid": "bad"}, good]})
    assert set(read_key_set(body.encode(), algorithm)) == {"good"}


def test_signatures_under_such_a_key_could_be_made_up() -> None:
    """What OpenSSL lets through, and so why these keys are looked for."""
    identity = Ed25519PublicKey.from_public_bytes(SMALL_ORDER[1])
    identity.verify(SMALL_ORDER[1] + bytes(32), b"anything")
    with pytest.raises(WeakKeyError):
        require_strong(identity)


class _OneKey:
    def __init__(self, raw: bytes) -> None:
        self._body = json.dumps({"keys": [{**_okp(raw), "kid": "key-1"}]}).encode()

    async def key_for(self, header: dict[str, object]) -> Any:
        keys = read_key_set(self._body, "EdDSA")
        if not keys:
            raise UnknownKeyError
        return keys[str(header["kid"])]


async def test_a_made_up_token_under_such_a_key_is_refused() -> None:
    mint = public_mint("EdDSA")
    given = {"internal_signing_key": SIGNING_KEY, "jwt_issuer": PUBLIC_ISSUER}
    verifier = PublicTokenVerifier(_OneKey(SMALL_ORDER[1]), Settings.model_validate(given))
    header, payload, _ = mint.parts()
    with pytest.raises(TokenInvalidError):
        await verifier.user_of(f"{header}.{payload}.{encoded(SMALL_ORDER[1] + bytes(32))}")


@pytest.mark.parametrize("raw", SMALL_ORDER)
def test_a_service_does_not_start_with_such_a_key(raw: bytes) -> None:
    for names in (
        {"public_key": encoded(raw)},
        {"public_key": generate_signing_key()[1], "rotating_public_key": encoded(raw)},
    ):
        trusted = TrustedIssuer(**names, scopes=frozenset({TASKS}))
        with pytest.raises(WeakKeyError):
            TokenVerifier("task-tools", {"gateway": trusted})


def test_a_senders_key_is_replaced_without_refusing_a_token() -> None:
    """The old key, both, the new one: what was signed in each step is taken in it and in the next."""
    (old_private, old_public), (new_private, new_public) = generate_signing_key(), generate_signing_key()
    old, new = TokenSigner("gateway", old_private), TokenSigner("gateway", new_private)

    def receiver(public_key: str, rotating: str | None = None) -> TokenVerifier:
        """Trust as it comes from the environment."""
        trust = {"gateway": {"public_key": public_key, "rotating_public_key": rotating, "scopes": [TASKS]}}
        settings = ToolsSettings.model_validate(
            {"database_url": "postgresql://h/d", "internal_trust": json.loads(json.dumps(trust))}
        )
        return TokenVerifier("task-tools", settings.internal_trust)

    def sign(signer: TokenSigner, scope: str = TASKS) -> str:
        return signer.sign("task-tools", [scope], user_id="ann")

    before, both, turned, after = (
        receiver(old_public),
        receiver(old_public, new_public),
        receiver(new_public, old_public),
        receiver(new_public),
    )
    assert before.verify(sign(old)).user_id == "ann"
    for verifier in (both, turned):
        assert verifier.verify(sign(old)) == verifier.verify(sign(new))
        for refused in (
            sign(old, RUNS_READ),
            sign(new, RUNS_READ),
            sign(TokenSigner("gateway", generate_signing_key()[0])),
        ):
            with pytest.raises(InternalTokenError):
                verifier.verify(refused)
    assert after.verify(sign(new)).user_id == "ann"
    for verifier, gone in ((before, new), (after, old)):
        with pytest.raises(InternalTokenError):
            verifier.verify(sign(gone))


def test_an_expired_token_is_told_so_under_either_key() -> None:
    one, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    names = [encoded(key.public_key().public_bytes_raw()) for key in (one, other)]
    trusted = TrustedIssuer(public_key=names[0], rotating_public_key=names[1], scopes=frozenset({TASKS}))
    verifier = TokenVerifier("task-tools", {"gateway": trusted})
    for key in (one, other):
        with pytest.raises(InternalTokenError) as refusal:
            verifier.verify(internal_mint(key, "gateway", "task-tools", TASKS).token(iat=1, exp=2))
        assert refusal.value.expired
