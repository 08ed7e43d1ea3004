"""A bounded map whose entries end at a given time."""

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class ExpiringCache(Generic[Key, Value]):
    """Keeps at most `entries` values, the last used ones. Times are on the caller's clock, in seconds."""

    def __init__(self, entries: int) -> None:
        self._limit = entries
        self._values: OrderedDict[Key, tuple[Value, float]] = OrderedDict()

    def get(self, key: Key, now: float) -> Value | None:
        """Return the value, unless it is unknown or has ended."""
        found = self._values.get(key)
        if found is None:
            return None
        value, ends_at = found
        if now >= ends_at:
            del self._values[key]
            return None
        self._values.move_to_end(key)
        return value

    def put(self, key: Key, value: Value, ends_at: float) -> None:
        """Keep the value until `ends_at`, or until more recently used ones need its place."""
        self._values[key] = (value, ends_at)
        self._values.move_to_end(key)
        if len(self._values) > self._limit:
            self._values.popitem(last=False)
