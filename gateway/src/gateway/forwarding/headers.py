"""Which headers pass the gateway. What is not named here does not: neither hop-by-hop headers (RFC 9110, section
7.6.1), nor credentials, nor anything by which a caller could claim to be somebody or to come from somewhere.
"""

import re
from collections.abc import Iterable
from typing import Final

from multidict import CIMultiDict

RawHeaders = Iterable[tuple[bytes, bytes]]

_REQUEST: Final = {
    name.encode(): name
    for name in (
        "accept",
        "accept-language",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "last-event-id",
        "traceparent",
        "tracestate",
    )
}

_RESPONSE: Final = frozenset(
    {
        b"cache-control",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-length",
        b"content-type",
        b"etag",
        b"last-modified",
        b"ratelimit",
        b"ratelimit-policy",
        b"retry-after",
        b"x-run-id",
    }
)

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, version 00."""

_EVENT_STREAM: Final = b"text/event-stream"

_EVENT_STREAM_HEADERS: Final = (
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)
"""Both keep proxies from holding a stream back: `no-transform` those that compress, the other one nginx."""


def request_headers(headers: RawHeaders, token: str, request_id: str | None) -> CIMultiDict[str]:
    """Return what a service gets to see: the passed headers, the internal token and the request id."""
    passed: CIMultiDict[str] = CIMultiDict(
        [(known, value.decode("latin-1")) for name, value in headers if (known := _REQUEST.get(name))]
    )
    if not _TRACEPARENT.fullmatch(passed.get("traceparent", "")):
        passed.popall("traceparent", None)
        passed.popall("tracestate", None)
    passed["Authorization"] = f"Bearer {token}"
    if request_id:
        passed["X-Request-Id"] = request_id
    return passed


def response_headers(headers: RawHeaders) -> tuple[list[tuple[bytes, bytes]], bool]:
    """Return what the caller gets to see of an answer's headers, and whether it is an event stream."""
    passed = [(name, value) for raw, value in headers if (name := raw.lower()) in _RESPONSE]
    is_stream = any(name == b"content-type" and value.lower().startswith(_EVENT_STREAM) for name, value in passed)
    if is_stream:
        passed = [(name, value) for name, value in passed if name != b"cache-control"]
        passed.extend(_EVENT_STREAM_HEADERS)
    return passed, is_stream
