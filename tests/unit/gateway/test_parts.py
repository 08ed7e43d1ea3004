"""Small parts of the gateway: its cache, its settings, and what it makes of a key set."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from pydantic import ValidationError

from gateway.cache import ExpiringCache
from gateway.forwarding.headers import request_headers, response_headers
from gateway.identity.jwks import MAX_KEYS, read_key_set
from gateway.settings import Settings

ED25519 = OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate().public_key(), as_dict=True)
P256 = ECAlgorithm.to_jwk(generate_ec_key(SECP256R1()).public_key(), as_dict=True)
P384 = ECAlgorithm.to_jwk(generate_ec_key(SECP384R1()).public_key(), as_dict=True)
RSA = RSAAlgorithm.to_jwk(generate_rsa_key(65537, 2048).public_key(), as_dict=True)
SMALL_RSA = RSAAlgorithm.to_jwk(generate_rsa_key(65537, 1024).public_key(), as_dict=True)  # noqa: S505 - it is to be refused


def test_values_end_at_their_time() -> None:
    cache: ExpiringCache[str, int] = ExpiringCache(10)
    cache.put("a", 1, 5.0)
    assert cache.get("a", 4.9) == 1
    assert cache.get("a", 5.0) is None
    assert cache.get("b", 0.0) is None


def test_the_least_recently_used_value_makes_room() -> None:
    cache: ExpiringCache[str, int] = ExpiringCache(2)
    cache.put("a", 1, 9.0)
    cache.put("b", 2, 9.0)
    cache.get("a", 0.0)
    cache.put("c", 3, 9.0)
    assert [cache.get(key, 0.0) for key in "abc"] == [1, None, 3]


@pytest.mark.parametrize(
    ("jwk", "algorithm", "usable"),
    [
        (ED25519, "EdDSA", True),
        ({**ED25519, "alg": "EdDSA", "use": "sig"}, "EdDSA", True),
        ({**ED25519, "alg": "ES256"}, "EdDSA", False),
        ({**ED25519, "use": "enc"}, "EdDSA", False),
        ({**ED25519, "key_ops": ["sign"]}, "EdDSA", False),
        ({**ED25519, "crv": "X25519"}, "EdDSA", False),
        ({**ED25519, "x": "!!"}, "EdDSA", False),
        ({**ED25519, "x": 7}, "EdDSA", False),
        (ED25519, "RS256", False),
        (P256, "ES256", True),
        (P384, "ES256", False),
        (RSA, "RS256", True),
        (SMALL_RSA, "RS256", False),
        (RSA, "EdDSA", False),
        ({"kty": "oct", "k": "c2VjcmV0"}, "EdDSA", False),
    ],
)
def test_a_key_must_fit_the_algorithm_in_all_it_says(jwk: dict[str, Any], algorithm: str, usable: bool) -> None:
    body = json.dumps({"keys": [{**jwk, "kid": "k"}]}).encode()
    assert set(read_key_set(body, algorithm)) == ({"k"} if usable else set())


def test_unusable_keys_do_not_hide_the_others() -> None:
    keys = [{"kty": "none"}, {**RSA, "kid": "r"}, {**ED25519, "kid": 7}, ED25519, {**ED25519, "kid": "good"}]
    assert set(read_key_set(json.dumps({"keys": keys}).encode(), "EdDSA")) == {"good"}


def test_only_so_many_keys_of_a_set_are_read() -> None:
    keys = [{**ED25519, "kid": str(number)} for number in range(MAX_KEYS + 1)]
    assert len(read_key_set(json.dumps({"keys": keys}).encode(), "EdDSA")) == MAX_KEYS


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"keys": {}}', b'{"keys": ["a"]}', b"<html>"])
def test_what_is_no_key_set_is_refused(body: bytes) -> None:
    with pytest.raises(ValidationError):
        read_key_set(body, "EdDSA")


@pytest.mark.parametrize(
    "given",
    [
        {"jwt_algorithm": "none"},
        {"jwt_algorithm": "HS256"},
        {"jwt_algorithm": "HS256", "better_auth_secret": "short"},
        {"internal_signing_key": None},
        {"keepalive_seconds": 0},
    ],
)
def test_settings_that_would_be_unsafe_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"internal_signing_key": "x", **given})


def test_issuer_and_key_set_follow_better_auth() -> None:
    settings = Settings.model_validate({"internal_signing_key": "x", "better_auth_url": "http://localhost:3000/"})
    assert settings.issuer == "http://localhost:3000"
    assert settings.key_set_url == "http://localhost:3000/api/auth/jwks"
    named = {"jwt_issuer": "me", "jwks_url": "http://keys.test/k"}
    named_settings = Settings.model_validate({"internal_signing_key": "x", **named})
    assert (named_settings.issuer, named_settings.key_set_url) == ("me", "http://keys.test/k")


@pytest.mark.parametrize("given", ["https://a.test, https://b.test", '["https://a.test", "https://b.test"]'])
def test_origins_are_a_list_in_either_form(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ALLOW_ORIGINS", given)
    monkeypatch.setenv("INTERNAL_SIGNING_KEY", "x")
    assert Settings().cors_allow_origins == ["https://a.test", "https://b.test"]


def test_an_event_stream_is_known_by_its_type_in_any_case() -> None:
    headers, is_stream = response_headers([(b"Content-Type", b"Text/Event-Stream"), (b"Cache-Control", b"public")])
    assert is_stream
    assert (b"cache-control", b"no-cache, no-transform") in headers
    assert (b"cache-control", b"public") not in headers
    assert not response_headers([(b"Content-Type", b"application/json")])[1]


@pytest.mark.parametrize("ending", [b"\r\n", b"\n", b"\r", b"\0"])
def test_no_header_can_begin_another_one(ending: bytes) -> None:
    given = [(b"accept", b"*/*"), (b"last-event-id", b"1" + ending + b"X-User-Id: bob")]
    lines = request_headers(given, "token", "request-1").split(b"\r\n")
    names = {line.partition(b":")[0].lower() for line in lines if line}
    assert names == {b"accept", b"traceparent", b"authorization", b"x-request-id"}
