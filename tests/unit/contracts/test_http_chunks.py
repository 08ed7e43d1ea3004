"""A chunk is known by its length, and nothing else is taken for one."""

from service_kit.http_chunks import LEAST_BYTES, MOST_BYTES, SIZE_LINES, chunk_of


def _is_known(data: bytes) -> bool:
    return len(data) < MOST_BYTES and data.startswith(SIZE_LINES[len(data)]) and data.endswith(b"\r\n")


def test_chunks_are_known_at_every_length() -> None:
    bodies = [b"\n" * size for size in range(1, MOST_BYTES)]
    known = [len(body) for body in bodies if _is_known(chunk_of(body))]
    assert known == [size for size in range(LEAST_BYTES, MOST_BYTES) if len(chunk_of(b"." * size)) < MOST_BYTES]


def test_nothing_less_or_more_is_known() -> None:
    for size in range(LEAST_BYTES, MOST_BYTES):
        chunk = chunk_of(b"\r\n" * (size // 2) + b"." * (size % 2))
        for other in (chunk[:-2], chunk[2:], chunk + b"\r\n", b"0" + chunk, chunk[:-1] + b"\r\n", chunk + chunk):
            assert not _is_known(other), other
