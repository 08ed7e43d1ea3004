"""Well signed tokens that say what must not be believed, and text that is hardly a token."""

import base64
import json
import time
from collections.abc import Mapping
from functools import partial

from tests.security.attack_headers import Attack
from tests.security.mint import Mint, encoded

HOUR = 3600


def _claims(mint: Mint, **changes: object) -> str:
    return mint.token(**changes)


def _shifted(mint: Mint, **seconds: float) -> str:
    """Times relative to now."""
    now = int(time.time())
    return mint.token(**{name: now + shift for name, shift in seconds.items()})


def _written(name: str, text: str, mint: Mint) -> str:
    """A claim in JSON that Python would not write."""
    payload = json.dumps(mint.claims(**{name: "@@"})).replace('"@@"', text)
    return mint.make(mint.header(), payload.encode())


def _as_text(name: str, mint: Mint) -> str:
    value = mint.claims(nbf=int(time.time()))[name]
    return mint.token(**{name: str(value)})


def _twice(name: str, other: object, mint: Mint) -> str:
    payload = f'{{"{name}": {json.dumps(other)}, {json.dumps(mint.claims())[1:]}'
    return mint.make(mint.header(), payload.encode())


def _payload(payload: object, mint: Mint) -> str:
    return mint.make(mint.header(), payload)


def _internal(attack: Attack) -> Attack:
    return lambda mint: attack(mint) if mint.is_internal else None


def _public(attack: Attack) -> Attack:
    return lambda mint: None if mint.is_internal else attack(mint)


def _audience(change: str, mint: Mint) -> str:
    good = mint.audience
    other: object = {
        "list without it": ["another", good + "-2"],
        "beginning": good[:-1],
        "longer": good + "-2",
        "capitals": good.upper(),
        "both in one text": f"another {good}",
        "object": {good: True},
        "list with a number": [good, 1],
        "nested list": [[good]],
    }[change]
    return mint.token(aud=other)


TIME_ATTACKS: Mapping[str, Attack] = {
    "exp past": partial(_shifted, iat=-2 * HOUR, exp=-HOUR),
    "exp zero": partial(_claims, exp=0),
    "exp past in a part of a second": partial(_shifted, iat=-60, exp=-30.5),
    "exp past, forged": lambda mint: mint.attacker.token(exp=1),
    "exp missing": partial(_claims, exp=...),
    "exp null": partial(_claims, exp=None),
    "exp text": partial(_as_text, "exp"),
    "exp a word": partial(_claims, exp="never"),
    "exp true": partial(_claims, exp=True),
    "exp a list": partial(_claims, exp=[4_000_000_000]),
    "exp an object": partial(_claims, exp={}),
    "exp negative": partial(_claims, exp=-1),
    "exp NaN": partial(_written, "exp", "NaN"),
    "exp Infinity": partial(_written, "exp", "Infinity"),
    "exp beyond what fits": partial(_written, "exp", "1e400"),
    "exp of 400 digits": partial(_written, "exp", "9" * 400),
    "exp of 5000 digits": partial(_written, "exp", "9" * 3_000),
    "exp in milliseconds": lambda mint: mint.token(exp=(int(time.time()) + 30) * 1000),
    "exp twice": partial(_twice, "exp", 1),
    "iat missing": partial(_claims, iat=...),
    "iat null": partial(_claims, iat=None),
    "iat text": partial(_as_text, "iat"),
    "iat true": partial(_claims, iat=True),
    "iat NaN": partial(_written, "iat", "NaN"),
    "iat negative": partial(_claims, iat=-1),
    "iat in the future": partial(_shifted, iat=30, exp=60),
    "nbf in the future": partial(_shifted, nbf=30),
    "nbf text": partial(_as_text, "nbf"),
    "nbf true": partial(_claims, nbf=True),
    "nbf null": partial(_claims, nbf=None),
    "nbf a list": partial(_claims, nbf=[0]),
    "nbf Infinity": partial(_written, "nbf", "Infinity"),
    "internal: a life of 61 s": _internal(partial(_shifted, exp=61)),
    "internal: a life of 60.5 s": _internal(partial(_shifted, exp=60.5)),
    "internal: a life of a day": _internal(partial(_shifted, exp=24 * HOUR)),
    "internal: an hour old, still living": _internal(partial(_shifted, iat=-HOUR, exp=30)),
    "internal: ends before it begins": _internal(partial(_shifted, iat=4, exp=2)),
}

NAME_ATTACKS: Mapping[str, Attack] = {
    "audience missing": partial(_claims, aud=...),
    "audience null": partial(_claims, aud=None),
    "audience empty": partial(_claims, aud=""),
    "audience empty list": partial(_claims, aud=[]),
    "audience another": partial(_claims, aud="another"),
    "audience a number": partial(_claims, aud=1),
    **{
        f"audience {change}": partial(_audience, change)
        for change in (
            *("list without it", "beginning", "longer", "capitals", "both in one text", "object"),
            *("list with a number", "nested list"),
        )
    },
    "audience twice": partial(_twice, "aud", "another"),
    "issuer missing": partial(_claims, iss=...),
    "issuer null": partial(_claims, iss=None),
    "issuer another": partial(_claims, iss="https://evil.test"),
    "issuer with a slash": lambda mint: mint.token(iss=mint.issuer + "/"),
    "issuer in capitals": lambda mint: mint.token(iss=mint.issuer.upper()),
    "issuer with a space": lambda mint: mint.token(iss=" " + mint.issuer),
    "issuer longer": lambda mint: mint.token(iss=mint.issuer + ".evil.test"),
    "issuer a list": lambda mint: mint.token(iss=[mint.issuer]),
    "issuer twice": partial(_twice, "iss", "https://evil.test"),
    "subject missing": _public(partial(_claims, sub=...)),
    "subject null": _public(partial(_claims, sub=None)),
    "subject empty": partial(_claims, sub=""),
    "subject a number": partial(_claims, sub=1),
    "subject true": partial(_claims, sub=True),
    "subject an object": partial(_claims, sub={"id": "ann"}),
    "subject a list": partial(_claims, sub=["ann"]),
    "subject with a slash": partial(_claims, sub="ann/../bob"),
    "subject with a null byte": partial(_claims, sub="ann\0"),
    "subject with a line break": partial(_claims, sub="ann\r\nX-User-Id: bob"),
    "subject with an escape": partial(_claims, sub="ann\x1b[2J"),
    "subject half a character": partial(_claims, sub="ann\ud800"),
    "subject with an invisible letter": partial(_claims, sub="ann\u200b"),
    "subject too long": partial(_claims, sub="a" * 256),
    "subject twice": partial(_twice, "sub", "bob"),
    "internal: scope missing": _internal(partial(_claims, scope=...)),
    "internal: scope null": _internal(partial(_claims, scope=None)),
    "internal: scope a list": _internal(lambda mint: mint.token(scope=[mint.extra["scope"]])),
    "internal: scope true": _internal(partial(_claims, scope=True)),
    "internal: scope not granted": _internal(partial(_claims, scope="users:delete runs:work")),
    "internal: one scope more than granted": _internal(
        lambda mint: mint.token(scope=f"{mint.extra['scope']} users:delete")
    ),
    "internal: scope of everything": _internal(partial(_claims, scope="*")),
    "internal: scope twice": _internal(partial(_twice, "scope", "users:delete")),
    "internal: run an object": _internal(partial(_claims, run={})),
    "internal: run with a null byte": _internal(partial(_claims, run="run_1\0")),
    "internal: thread a list": _internal(partial(_claims, thread=["thr_1"])),
    "internal: request id too long": _internal(partial(_claims, rid="r" * 256)),
    "internal: request id a number": _internal(partial(_claims, rid=7)),
}

PAYLOAD_ATTACKS: Mapping[str, Attack] = {
    "payload a list": partial(_payload, [1]),
    "payload text": partial(_payload, "ann"),
    "payload null": partial(_payload, None),
    "payload a number": partial(_payload, 1),
    "payload empty object": partial(_payload, {}),
    "payload no JSON": partial(_payload, b"{sub: ann}"),
    "payload cut off": lambda mint: mint.make(mint.header(), json.dumps(mint.claims()).encode()[:-1]),
    "payload and more": lambda mint: mint.make(mint.header(), json.dumps(mint.claims()).encode() + b"{}"),
    "payload not UTF-8": partial(_payload, b'{"sub": "\xff"}'),
    "payload in UTF-16": lambda mint: mint.make(mint.header(), json.dumps(mint.claims()).encode("utf-16")),
    "payload nested deeply": partial(_payload, b"[" * 2_500),
    "payload nested deeply in a claim": partial(_written, "name", "[" * 1_200 + "]" * 1_200),
    "payload a token": lambda mint: mint.make(mint.header(cty="JWT"), mint.token().encode()),
}

SHAPE_ATTACKS: Mapping[str, Attack] = {
    "a dot": lambda mint: ".",
    "two dots": lambda mint: "..",
    "three dots": lambda mint: "...",
    "a word": lambda mint: "garbage",
    "no base64": lambda mint: "!!!.???.***",
    "a user's name": lambda mint: mint.user_id,
    "header alone": lambda mint: mint.parts()[0],
    "two parts": lambda mint: ".".join(mint.parts()[:2]),
    "four parts": lambda mint: mint.token() + ".e30",
    "five parts (JWE)": lambda mint: f"{encoded({'alg': 'dir', 'enc': 'A128GCM', 'kid': mint.key_id})}..e30.e30.e30",
    "a good token as the last three of five parts": lambda mint: "e30.e30." + mint.token(),
    "a dot before": lambda mint: "." + mint.token(),
    "a dot behind": lambda mint: mint.token() + ".",
    "doubled dots": lambda mint: "..".join(mint.parts()),
    "JSON serialization": lambda mint: json.dumps(
        dict(zip(("protected", "payload", "signature"), mint.parts(), strict=True))
    ),
    "JSON serialization, encoded": lambda mint: encoded(
        dict(zip(("protected", "payload", "signature"), mint.parts(), strict=True))
    ),
    "encoded once more": lambda mint: base64.urlsafe_b64encode(mint.token().encode()).decode(),
    "quoted": lambda mint: f'"{mint.token()}"',
    "in brackets": lambda mint: f"<{mint.token()}>",
    "with a comma": lambda mint: mint.token() + ",",
    "with a semicolon": lambda mint: mint.token() + ";",
    "a space inside": lambda mint: " .".join(mint.parts()),
    "a tab inside": lambda mint: "\t.".join(mint.parts()),
    "percent signs": lambda mint: mint.token().replace(".", "%2E"),
    "not ASCII": lambda mint: mint.token() + "\xe9",
    "a space that does not break": lambda mint: mint.token() + "\xa0",
    "a soft hyphen": lambda mint: mint.token().replace(".", "\xad.", 1),
    "twice": lambda mint: mint.token() * 2,
    "two tokens": lambda mint: f"{mint.token()} {mint.token()}",
    "two tokens with a comma": lambda mint: f"{mint.token()}, {mint.token()}",
    "the scheme again": lambda mint: f"Bearer {mint.token()}",
    "longer than 8 kB": lambda mint: mint.token(name="x" * 8_192),
    "longer than 8 kB, only dots": lambda mint: "." * 9_000,
    "longer than 8 kB, only letters": lambda mint: "A" * 9_000 + ".e30.e30",
}
