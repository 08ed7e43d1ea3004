"""What callers are told whose connection or request never gets as far as a route."""

from http import HTTPStatus
from typing import NamedTuple

from contracts.problems import PROBLEM_MEDIA_TYPE, Problem


class Refusal(NamedTuple):
    """A problem that ends its connection."""

    status: int
    code: str
    detail: str

    def to_bytes(self) -> bytes:
        """Return the whole answer (HTTP/1.1)."""
        phrase = HTTPStatus(self.status).phrase
        problem = Problem(title=phrase, status=self.status, detail=self.detail, code=self.code)
        body = problem.model_dump_json(exclude_none=True).encode()
        lines = [
            f"HTTP/1.1 {self.status} {phrase}",
            f"content-type: {PROBLEM_MEDIA_TYPE}",
            f"content-length: {len(body)}",
            *(("retry-after: 1",) if self.status in {429, 503} else ()),
            "connection: close",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


MALFORMED = Refusal(400, "malformed_request", "This is no HTTP request, or one that can be read in two ways.")
TOO_SLOW = Refusal(408, "request_timeout", "The request did not arrive in time.")
HEAD_TOO_LARGE = Refusal(431, "head_too_large", "The request's line and headers are too large, or too many.")
VERSION = Refusal(505, "http_version_not_supported", "HTTP/1.1 and HTTP/1.0 are spoken here.")
TOO_MANY_OF_ADDRESS = Refusal(429, "too_many_connections", "Your address holds too many connections open.")
TOO_MANY = Refusal(503, "too_many_connections", "There are too many connections now. Please try again.")
