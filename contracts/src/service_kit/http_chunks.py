"""Chunks of a body (RFC 9112, section 7.1.1), in the one form in which everything here writes them."""

from typing import Final

LEAST_BYTES: Final = 8
"""Of body in a chunk that is known by its length: whoever is given one may look at some last bytes of the body."""

MOST_BYTES: Final = 2048
"""What no chunk reaches that is known by its length. Longer ones are rare, and what they cost lies elsewhere."""

_NEVER: Final = bytes(MOST_BYTES)
"""What nothing begins with that is shorter."""


def chunk_of(body: bytes) -> bytes:
    """Return a chunk with this body, which is not empty: without extensions, its size in the fewest digits."""
    return b"%x\r\n%b\r\n" % (len(body), body)


def _size_lines() -> tuple[bytes, ...]:
    lines = [_NEVER] * MOST_BYTES
    for size in range(LEAST_BYTES, MOST_BYTES):
        line = b"%x\r\n" % size
        length = len(line) + size + len(b"\r\n")
        if length < MOST_BYTES:
            lines[length] = line
    return tuple(lines)


SIZE_LINES: Final = _size_lines()
"""How bytes of each length begin if they are a chunk as `chunk_of` writes it, of LEAST_BYTES or more:

    len(data) < MOST_BYTES and data.startswith(SIZE_LINES[len(data)]) and data.endswith(b"\\r\\n")

tells so much of bytes that begin where a chunk begins. It is false of any other form, and of anything less or more.
"""
