"""Which requests' heads are ambiguous. The parser (llhttp, strict) has refused most of them before.

That is: `Content-Length` twice, malformed, or beside `Transfer-Encoding`; folded lines; bare CR or LF; control
characters; spaces before a colon; bad chunks. What is left, and could be read differently by a proxy in front, is
refused here.
"""

import re
from collections.abc import Sequence

from gateway.edge.refusals import HEAD_TOO_LARGE, MALFORMED, VERSION, Refusal

MAX_HEADERS = 100

_ONCE = frozenset({b"host", b"authorization", b"content-length", b"content-type", b"transfer-encoding"})
_HOST = re.compile(rb"(\[[\w:.%~-]+\]|[\w.~%!$&'()*+,;=-]*)(:[0-9]*)?")
"""RFC 9110, section 7.2; what is within brackets, and behind a percent sign, is not looked at any closer."""

_CHUNKED = (b"transfer-encoding", b"chunked")
_LINE_BYTES = 4
"""Colon, space and line end of a header."""

Headers = Sequence[tuple[bytes, bytes]]


def fault_of(method: bytes, version: str, headers: Headers, *, wants_upgrade: bool) -> Refusal | None:
    """Return why the head is refused, or None. Names are in lower case (RFC 9112, sections 3.2, 6.1 and 6.3).

    Behind a head that asks for another protocol (RFC 9110, section 7.8), the parser reads no body.
    """
    if version not in {"1.1", "1.0"}:
        return VERSION
    if len(headers) > MAX_HEADERS:
        return HEAD_TOO_LARGE
    once = [name for name, _ in headers if name in _ONCE]
    if (
        len(once) != len(set(once))
        or (version == "1.1" and b"host" not in once)
        or not _HOST.fullmatch(dict(headers).get(b"host", b""))
        or method == b"CONNECT"
        or (b"transfer-encoding" in once and not (version == "1.1" and (_CHUNKED in headers)))
        or (wants_upgrade and _has_body(headers))
    ):
        return MALFORMED
    return None


def _has_body(headers: Headers) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and int(value) > 0) for name, value in headers
    )


def size_of(target: bytes, headers: Headers) -> int:
    """Return the bytes of a head, about."""
    return len(target) + sum([len(name) + len(value) + _LINE_BYTES for name, value in headers])
