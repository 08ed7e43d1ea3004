"""Tokens whose signature does not belong to them, or that are the same token in other letters."""

import string
from collections.abc import Callable, Mapping
from functools import partial

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.security.attack_headers import Attack
from tests.security.mint import Mint, decoded, encoded, sign

_LETTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def _signature(change: Callable[[bytes], bytes], mint: Mint) -> str:
    header, payload, signature = mint.parts()
    return f"{header}.{payload}.{encoded(change(decoded(signature)))}"


def _flipped(part: int, at: float, mint: Mint) -> str:
    """Flip one bit of a part; `at` is how far into it, from 0 to 1."""
    parts = mint.parts()
    raw = bytearray(decoded(parts[part]))
    raw[int(at * (len(raw) - 1))] ^= 1
    parts[part] = encoded(bytes(raw))
    return ".".join(parts)


def _uncanonical(part: str) -> str | None:
    """Return other letters for the same bytes: the last letter has bits that stand for nothing."""
    if len(part) % 4 not in (2, 3):
        return None
    return part[:-1] + _LETTERS[_LETTERS.index(part[-1]) ^ 1]


def _uncanonical_signature(mint: Mint) -> str | None:
    header, payload, signature = mint.parts()
    other = _uncanonical(signature)
    return other and f"{header}.{payload}.{other}"


def _uncanonical_payload(mint: Mint) -> str:
    """Such a token can be made only by who has the key, and is refused all the same."""
    for filling in ("", "x", "xx"):
        other = _uncanonical(encoded(mint.claims(name=filling)))
        if other is not None:
            data = f"{encoded(mint.header())}.{other}"
            return f"{data}.{encoded(sign(mint.algorithm, mint.key, data))}"
    raise AssertionError("one of three lengths has bits to spare")


def _standard_letters(mint: Mint) -> str:
    """Write the signature with the letters of base64 that are not safe in addresses."""
    for number in range(100):
        header, payload, signature = mint.token(number=number).split(".")
        if not {"-", "_"}.isdisjoint(signature):
            return f"{header}.{payload}.{signature.replace('-', '+').replace('_', '/')}"
    raise AssertionError("no such signature")


def _of_another_token(mint: Mint) -> str:
    header, payload, _ = mint.parts()
    return f"{header}.{payload}.{mint.token(number=1).split('.')[2]}"


def _another_payload(mint: Mint, **changes: object) -> str:
    header, _, signature = mint.parts()
    return f"{header}.{encoded(mint.claims(**changes))}.{signature}"


def _over_the_payload_alone(mint: Mint) -> str:
    header, payload, _ = mint.parts()
    return f"{header}.{payload}.{encoded(sign(mint.algorithm, mint.key, payload))}"


def _of(algorithm: str, change: Callable[[bytes], bytes]) -> Attack:
    return lambda mint: _signature(change, mint) if mint.algorithm == algorithm else None


def _halves(raw: bytes) -> tuple[int, int]:
    return int.from_bytes(raw[:32]), int.from_bytes(raw[32:])


def _p256(r: int, s: int) -> bytes:
    return r.to_bytes(32) + s.to_bytes(32)


def _other_s(raw: bytes) -> bytes:
    """The same S with the order of the group added: RFC 8032, section 5.1.7, refuses it."""
    return raw[:32] + (int.from_bytes(raw[32:], "little") + ED25519_ORDER).to_bytes(32, "little")


def mirrored(mint: Mint) -> str:
    """Return a token with the other signature that ECDSA has for it: (r, -s), which anybody can work out."""

    def mirror(raw: bytes) -> bytes:
        r, s = _halves(raw)
        return _p256(r, P256_ORDER - s)

    return _signature(mirror, mint)


_REGIONS = {"first": 0.0, "second": 0.34, "third": 0.67, "last": 1.0}

SIGNATURE_ATTACKS: Mapping[str, Attack] = {
    "signature empty": partial(_signature, lambda raw: b""),
    "signature a byte": partial(_signature, lambda raw: raw[:1]),
    "signature without its last byte": partial(_signature, lambda raw: raw[:-1]),
    "signature half": partial(_signature, lambda raw: raw[: len(raw) // 2]),
    "signature and a byte": partial(_signature, lambda raw: raw + b"\0"),
    "signature behind a byte": partial(_signature, lambda raw: b"\0" + raw),
    "signature twice": partial(_signature, lambda raw: raw + raw),
    "signature backwards": partial(_signature, lambda raw: raw[::-1]),
    "signature of zeros (with ES256: r and s zero)": partial(_signature, lambda raw: bytes(len(raw))),
    "signature of ones": partial(_signature, lambda raw: b"\xff" * len(raw)),
    **{
        f"one bit of the {name} in its {region} region": partial(_flipped, part, at)
        for part, name in enumerate(("header", "payload", "signature"))
        for region, at in _REGIONS.items()
    },
    "signature of another token": _of_another_token,
    "another user under the signature": partial(_another_payload, sub="bob"),
    "a longer life under the signature": partial(_another_payload, exp=4_000_000_000),
    "more rights under the signature": partial(_another_payload, scope="runs:work users:delete", role="admin"),
    "signature over the payload alone": _over_the_payload_alone,
    "signature in other letters": _uncanonical_signature,
    "payload in other letters": _uncanonical_payload,
    "signature in base64 for files": _standard_letters,
    "signature with padding": lambda mint: mint.token() + "==",
    "signature with one sign of padding": lambda mint: mint.token() + "=",
    "payload with padding": lambda mint: "{}.{}=.{}".format(*mint.parts()),
    "Ed25519: S beyond the order": _of("EdDSA", _other_s),
    "Ed25519: R and S exchanged": _of("EdDSA", lambda raw: raw[32:] + raw[:32]),
    "Ed25519: R of small order, S zero": _of("EdDSA", lambda raw: b"\1" + bytes(63)),
    "ES256: r zero": _of("ES256", lambda raw: bytes(32) + raw[32:]),
    "ES256: s zero": _of("ES256", lambda raw: raw[:32] + bytes(32)),
    "ES256: r and s the order": _of("ES256", lambda raw: _p256(P256_ORDER, P256_ORDER)),
    "ES256: r and s one": _of("ES256", lambda raw: _p256(1, 1)),
    "ES256: s minus one": _of("ES256", lambda raw: _p256(_halves(raw)[0], _halves(raw)[1] - 1)),
    "ES256: in DER": _of("ES256", lambda raw: encode_dss_signature(*_halves(raw))),
    "RS256: a number": _of("RS256", lambda raw: (1).to_bytes(len(raw))),
}
