"""Which headers pass the gateway. What is not named here does not: neither hop-by-hop headers (RFC 9110, section
7.6.1), nor credentials, nor anything by which a caller could claim to be somebody or to come from somewhere.
"""

import random
import re
from collections.abc import Iterable
from typing import Final

RawHeaders = Iterable[tuple[bytes, bytes]]

_REQUEST: Final = frozenset(
    {
        b"accept",
        b"accept-language",
        b"content-type",
        b"idempotency-key",
        b"if-match",
        b"if-none-match",
        b"last-event-id",
    }
)

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

_TRACEPARENT: Final = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, version 00."""

_BROKEN_LINE: Final = re.compile(rb"[\r\n\0]")
"""What would end a header early; the server refuses it as well."""

_EVENT_STREAM: Final = b"text/event-stream"

_NOT_OF_STREAMS: Final = frozenset({b"cache-control", b"content-length"})

_EVENT_STREAM_HEADERS: Final = (
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)
"""Both keep proxies from holding a stream back: `no-transform` those that compress, the other one nginx."""


def request_headers(headers: RawHeaders, token: str, request_id: str | None) -> bytes:
    """Return the lines that a service gets to see: the passed headers, the internal token, request id and trace.

    Names are in lower case, as ASGI has them.
    """
    lines: list[bytes] = []
    traces: list[bytes] = []
    states: list[bytes] = []
    for name, value in headers:
        if name in _REQUEST:
            lines.append(b"%b: %b\r\n" % (name, value))
        elif name == b"traceparent":
            traces.append(value)
        elif name == b"tracestate":
            states.append(b"tracestate: %b\r\n" % value)
    if len(traces) == 1 and _TRACEPARENT.fullmatch(traces[0]):
        lines += (b"traceparent: %b\r\n" % traces[0], *states)
    else:
        lines.append(_new_trace())
    lines = [line for line in lines if not _BROKEN_LINE.search(line, 0, len(line) - 2)]
    lines.append(f"Authorization: Bearer {token}\r\nX-Request-Id: {request_id or ''}\r\n".encode("ascii"))
    return b"".join(lines)


def response_headers(headers: RawHeaders) -> tuple[list[tuple[bytes, bytes]], bool]:
    """Return what the caller gets to see of an answer's headers, and whether it is an event stream.

    A stream has no length: comments may join it.
    """
    passed = [(name, value) for raw, value in headers if (name := raw.lower()) in _RESPONSE]
    is_stream = any(name == b"content-type" and value.lower().startswith(_EVENT_STREAM) for name, value in passed)
    if is_stream:
        passed = [(name, value) for name, value in passed if name not in _NOT_OF_STREAMS]
        passed.extend(_EVENT_STREAM_HEADERS)
    return passed, is_stream


def _new_trace() -> bytes:
    """Begin a trace that nobody has asked to be sampled. Its ids name it; they are no secret."""
    trace, span = random.getrandbits(128) or 1, random.getrandbits(64) or 1
    return b"traceparent: 00-%032x-%016x-00\r\n" % (trace, span)
