"""Tokens whose header lies about the algorithm, the key or the kind of token, or is no header."""

import json
from collections.abc import Callable, Mapping
from functools import partial

from contracts.principal import INTERNAL_TYPE
from tests.security.mint import ATTACKERS, Mint, encoded, jwk, sign

Attack = Callable[[Mint], str | None]
"""Makes the token; None where there is no such thing."""


def _unsigned(mint: Mint, algorithm: object) -> str:
    return f"{encoded(mint.header(alg=algorithm))}.{encoded(mint.claims())}."


def _named(mint: Mint, algorithm: object) -> str:
    """A well signed token that names another algorithm than the one it was signed with."""
    header = {name: value for name, value in mint.header(alg=algorithm).items() if value is not ...}
    return mint.make(header, mint.claims())


def _public_key_as_secret(form: str, algorithm: str, named: str | None, mint: Mint) -> str | None:
    secret = mint.public_forms().get(form)
    if secret is None:
        return None
    header = mint.header(alg=named or mint.algorithm)
    return mint.make(header, mint.claims(), algorithm=algorithm, key=secret)


def _confused(signed_with: str, named: str | None, mint: Mint) -> str | None:
    """Sign with another algorithm and a key that fits it, and name either."""
    if signed_with == mint.algorithm:
        return None
    header = mint.header(alg=named or mint.algorithm)
    return mint.make(header, mint.claims(), algorithm=signed_with, key=ATTACKERS[signed_with])


def _same_key(signed_with: str, needs: str, mint: Mint) -> str | None:
    """Sign with the trusted key itself, by an algorithm that nobody configured."""
    if mint.algorithm != needs:
        return None
    return mint.make(mint.header(alg=signed_with), mint.claims(), algorithm=signed_with)


def _secret(secret: bytes, mint: Mint) -> str:
    return mint.make(mint.header(alg="HS256"), mint.claims(), algorithm="HS256", key=secret)


def _embedded_key(mint: Mint) -> str:
    """Bring the key along that the token is signed with."""
    evil = mint.attacker
    public = {"kty": "oct", "k": encoded(evil.key)} if mint.is_symmetric else jwk(mint.algorithm, evil.key, mint.key_id)
    return evil.make(evil.header(jwk=public), evil.claims())


def _own_key_embedded(mint: Mint) -> str | None:
    return None if mint.is_symmetric else mint.headed(jwk=jwk(mint.algorithm, mint.key, mint.key_id))


def _unencoded(mint: Mint) -> str:
    """RFC 7797: the payload is signed as it is, and missing from the token."""
    header = encoded(mint.header(b64=False, crit=["b64"]))
    signature = sign(mint.algorithm, mint.key, f"{header}.{json.dumps(mint.claims())}")
    return f"{header}..{encoded(signature)}"


def _raw_header(text: bytes, mint: Mint) -> str:
    return mint.make(text, mint.claims())


def _twice(name: str, mint: Mint) -> str:
    """Name a member of the header twice: what one parser checks, another one may not use."""
    good = json.dumps(mint.header())
    other = json.dumps({"alg": "none", "kid": "another", "typ": "at+jwt"}[name])
    return mint.make(f'{{"{name}": {other}, {good[1:]}'.encode(), mint.claims())


def _as_utf16(mint: Mint) -> str:
    return mint.make(json.dumps(mint.header()).encode("utf-16"), mint.claims())


def _other_kind(mint: Mint) -> str:
    return mint.make(mint.header(typ="JWT" if mint.is_internal else INTERNAL_TYPE), mint.claims())


def _no_kind(mint: Mint) -> str | None:
    """Public tokens need no `typ` (Better Auth sets none); internal ones do."""
    header = {name: value for name, value in mint.header().items() if name != "typ"}
    return mint.make(header, mint.claims()) if mint.is_internal else None


def _headed(mint: Mint, **changes: object) -> str:
    return mint.headed(**changes)


def _signed_header(mint: Mint, **changes: object) -> str:
    return mint.make(mint.header(**changes), mint.claims())


_PUBLIC_FORMS = ("PEM", "PEM without its last newline", "DER", "raw", "JWK", "JWK, compact", "first member of the JWK")

ALGORITHM_ATTACKS: Mapping[str, Attack] = {
    "algorithm none": partial(_unsigned, algorithm="none"),
    "algorithm None": partial(_unsigned, algorithm="None"),
    "algorithm nOnE": partial(_unsigned, algorithm="nOnE"),
    "algorithm NONE": partial(_unsigned, algorithm="NONE"),
    "algorithm empty": partial(_unsigned, algorithm=""),
    "algorithm none beside a good signature": partial(_named, algorithm="none"),
    "algorithm empty beside a good signature": partial(_named, algorithm=""),
    "algorithm missing": partial(_named, algorithm=...),
    "algorithm null": partial(_named, algorithm=None),
    "algorithm in a list": lambda mint: _named(mint, [mint.algorithm]),
    "algorithm in an object": lambda mint: _named(mint, {"name": mint.algorithm}),
    "algorithm a number": partial(_named, algorithm=256),
    "algorithm in lower case": lambda mint: _named(mint, mint.algorithm.lower()),
    "algorithm with a space": lambda mint: _named(mint, mint.algorithm + " "),
    "algorithm unknown": partial(_named, algorithm="XX999"),
    "empty secret": partial(_secret, b""),
    "guessed secret": partial(_secret, b"secret"),
    "secret is the word of its setting": partial(_secret, b"better-auth-secret-123456789"),
    "longer hash, same secret": partial(_same_key, "HS512", "HS256"),
    "PS256 with the RS256 key": partial(_same_key, "PS256", "RS256"),
    "RS512 with the RS256 key": partial(_same_key, "RS512", "RS256"),
    **{
        f"public key as secret: {form}": partial(_public_key_as_secret, form, "HS256", "HS256")
        for form in _PUBLIC_FORMS
    },
    **{
        f"public key as secret, algorithm as configured: {form}": partial(_public_key_as_secret, form, "HS256", None)
        for form in _PUBLIC_FORMS
    },
    "public key as secret, longer hash": partial(_public_key_as_secret, "PEM", "HS512", "HS512"),
    **{f"{name} of another key": partial(_confused, name, name) for name in ATTACKERS},
    **{f"{name} under the configured name": partial(_confused, name, None) for name in ATTACKERS},
}

KEY_ATTACKS: Mapping[str, Attack] = {
    "an attacker's key": lambda mint: mint.attacker.token(),
    "embedded key": _embedded_key,
    "embedded key, the good one": _own_key_embedded,
    "key address": partial(_signed_header, jku="http://127.0.0.1:9/jwks.json"),
    "certificate address": partial(_signed_header, x5u="http://127.0.0.1:9/cert.pem"),
    "certificate": partial(_signed_header, x5c=["MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"]),
    "critical extension": partial(_signed_header, crit=["exp"], exp=1),
    "critical extension, none named": partial(_signed_header, crit=[]),
    "critical extension, as text": partial(_signed_header, crit="b64"),
    "unencoded payload": partial(_signed_header, b64=False),
    "unencoded payload, detached": _unencoded,
    "compressed": partial(_signed_header, zip="DEF"),
    "key id a path": partial(_headed, kid="../../../../dev/null"),
    "key id an absolute path": partial(_headed, kid="/proc/sys/kernel/hostname"),
    "key id SQL": partial(_headed, kid="key-1' UNION SELECT 'secret' --"),
    "key id a command": partial(_headed, kid="key-1|/bin/true"),
    "key id an address": partial(_headed, kid="http://127.0.0.1:9/key"),
    "key id empty": partial(_headed, kid=""),
    "key id a space": partial(_headed, kid=" "),
    "key id with a space": lambda mint: mint.headed(kid=mint.key_id + " "),
    "key id in capitals": lambda mint: mint.headed(kid=mint.key_id.upper()),
    "key id of 10 kB": partial(_headed, kid="k" * 10_000),
    "key id of 1 kB": partial(_headed, kid="k" * 1_000),
    "key id a list": lambda mint: mint.headed(kid=[mint.key_id]),
    "key id an object": lambda mint: mint.headed(kid={"id": mint.key_id}),
    "key id a number": partial(_headed, kid=1),
    "key id null": partial(_headed, kid=None),
    "key id true": partial(_headed, kid=True),
    "key id missing": partial(_headed, kid=...),
    "key id unknown": partial(_headed, kid="nobody"),
    "key id in look-alike letters": partial(_headed, kid="g\u0430teway"),
    "key id with a null byte": lambda mint: mint.headed(kid=mint.key_id + "\0"),
    "key id half a character": partial(_headed, kid="\ud800"),
    "key id of a prototype": partial(_headed, kid="__class__"),
}

KIND_ATTACKS: Mapping[str, Attack] = {
    "another place's kind of token": _other_kind,
    "no kind of token": _no_kind,
    "kind of access tokens": partial(_signed_header, typ="at+jwt"),
    "kind of ChatKit sessions": partial(_signed_header, typ="chatkit-session+jwt"),
    "kind of logout tokens": partial(_signed_header, typ="logout+jwt"),
    "kind a list": partial(_signed_header, typ=["JWT"]),
    "kind an object": partial(_signed_header, typ={"JWT": True}),
    "kind a number": partial(_signed_header, typ=1),
    "kind empty": partial(_signed_header, typ=""),
    "header a list": partial(_raw_header, b'["EdDSA"]'),
    "header text": partial(_raw_header, b'"EdDSA"'),
    "header null": partial(_raw_header, b"null"),
    "header a number": partial(_raw_header, b"1"),
    "header empty object": partial(_raw_header, b"{}"),
    "header no JSON": partial(_raw_header, b"{alg: EdDSA}"),
    "header cut off": partial(_raw_header, b'{"alg": "EdDSA", "kid"'),
    "header not UTF-8": partial(_raw_header, b'{"alg": "\xff\xfe"}'),
    "header in UTF-16": _as_utf16,
    "header with NaN": partial(_raw_header, b'{"alg": NaN}'),
    "header nested deeply": partial(_raw_header, b"[" * 2_500),
    "header nested deeply in objects": partial(_raw_header, b'{"a":' * 500),
    "algorithm twice": partial(_twice, "alg"),
    "key id twice": partial(_twice, "kid"),
    "kind twice": partial(_twice, "typ"),
}
