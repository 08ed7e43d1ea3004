"""How every signed token is read: JWTs in JWS compact form (RFC 7515, RFC 7519) by the rules of RFC 8725.

PyJWT checks signatures, times, issuer and audience. What it takes and nobody needs is refused here: padding of base64,
names that stand twice in an object, NaN, times that are text or true, headers that bring a key of their own. Sizes and
shape are checked before anything is parsed, and the algorithm before a key is looked for.
"""

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

import jwt

MAX_USER_ID_LENGTH = 255
MAX_SECONDS = 253_402_300_800
"""The end of the year 9999 as a NumericDate; no time in a token is later."""

_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

_FORBIDDEN_HEADERS: Final = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip"})
"""They bring or name a key of the token's own choice, or change how it is to be read."""

Key = Any
"""What PyJWT verifies with: a public key of `cryptography`, or a secret as bytes."""


@dataclass(frozen=True)
class TokenForm:
    """What one kind of token looks like. The algorithm is fixed here, whatever a token says of itself.

    `types` are the `typ` headers that it may have, in lower case; None stands for a token that has none.
    """

    algorithm: str
    types: frozenset[str | None]
    max_bytes: int
    audience: str
    leeway_seconds: float
    required: tuple[str, ...]


def header_of(token: str, form: TokenForm) -> dict[str, Any]:
    """Return the header of a token that has the form. Nothing is verified yet. Raises jwt.InvalidTokenError."""
    if len(token) > form.max_bytes or _COMPACT.fullmatch(token) is None:
        raise jwt.DecodeError("not a compact token, or too long")
    segment = token.partition(".")[0]
    try:
        header = _strict_object(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except ValueError as error:
        raise jwt.DecodeError("unreadable header") from error
    if header.get("alg") != form.algorithm or not _FORBIDDEN_HEADERS.isdisjoint(header):
        raise jwt.InvalidAlgorithmError("another algorithm, or a header that decides too much")
    kind = header.get("typ")
    if not (kind is None or isinstance(kind, str)) or (kind and kind.lower()) not in form.types:
        raise jwt.InvalidTokenError("another kind of token")
    return header


def claims_of(token: str, form: TokenForm, keys: Iterable[Key], issuer: str) -> dict[str, Any]:
    """Return the claims of a token that one of the keys has signed. Raises jwt.InvalidTokenError.

    The token has passed `header_of`. Each key costs one verification.
    """
    failure = jwt.InvalidSignatureError("no key")
    for key in keys:
        try:
            return _reader.decode(
                token,
                key,
                algorithms=[form.algorithm],
                audience=form.audience,
                issuer=issuer,
                leeway=form.leeway_seconds,
                options={"require": list(form.required)},
            )
        except jwt.InvalidSignatureError as error:
            failure = error
    raise failure


def is_user_id(value: object) -> bool:
    """Return whether a claim can be a user's id: text that is safe in paths, logs and the database."""
    return isinstance(value, str) and 0 < len(value) <= MAX_USER_ID_LENGTH and value.isprintable() and "/" not in value


class _StrictReader(jwt.PyJWT):
    """PyJWT with a stricter reading of the payload, through the hook that it has for this."""

    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        try:
            claims = _strict_object(decoded["payload"])
        except ValueError as error:
            raise jwt.DecodeError("unreadable payload") from error
        for name in ("exp", "iat", "nbf"):
            if name in claims and not _is_time(claims[name]):
                raise jwt.DecodeError("a time that is none")
        return claims


_reader = _StrictReader()


def _is_time(value: object) -> bool:
    """Return whether it is a NumericDate (RFC 7519, section 2) that a clock can show."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MAX_SECONDS


def _strict_object(data: bytes) -> dict[str, Any]:
    """Return a JSON object in UTF-8 whose names are unique. Raises ValueError."""
    try:
        value: object = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return cast(dict[str, Any], value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name stands twice")
    return values


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")
