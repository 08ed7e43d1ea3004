"""Time-ordered, collision-safe identifiers: a ChatKit prefix and a UUIDv7 (RFC 9562, section 5.7)."""

import secrets
import threading
import time
from datetime import UTC, datetime
from typing import Literal, get_args
from uuid import UUID

IdPrefix = Literal["thr", "conv", "msg", "tc", "wf", "tsk", "atc", "shcx", "run", "task"]

ID_PREFIXES: frozenset[str] = frozenset(get_args(IdPrefix))

_lock = threading.Lock()
_last_timestamp = 0


def _timestamp() -> int:
    """Return sub-millisecond ticks (2^-12 ms each) since the epoch, never the same twice in one process."""
    global _last_timestamp
    now = time.time_ns() * 4096 // 1_000_000
    with _lock:
        _last_timestamp = max(now, _last_timestamp + 1)
        return _last_timestamp


def uuid7() -> UUID:
    """Return a UUIDv7 whose `rand_a` carries sub-millisecond time (method 3 of RFC 9562, section 6.2)."""
    milliseconds, fraction = divmod(_timestamp(), 4096)
    value = (milliseconds & (2**48 - 1)) << 80
    value |= 0x7 << 76 | fraction << 64
    value |= 0b10 << 62 | secrets.randbits(62)
    return UUID(int=value)


def new_id(prefix: IdPrefix) -> str:
    """Return `<prefix>_<32 hex digits>`; ids made by one process sort in the order they were made."""
    return f"{prefix}_{uuid7().hex}"


def time_of(identifier: str) -> datetime:
    """Return when an id made by `new_id` was made (UTC, to the millisecond). Raises ValueError for any other."""
    value = UUID(hex=identifier.rpartition("_")[2])
    if value.version != 7:
        raise ValueError("not a time-ordered id")
    return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)
