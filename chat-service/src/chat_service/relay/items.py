"""What the relay knows of items: frames are looked into only where an item begins or ends, or after a loss."""

import json
from collections.abc import Iterable
from typing import Any

from contracts.frames import DATA_FIELD, frame_data

# The worker writes `type` first and without blanks; tests/contract holds it to that.
_EVENT = DATA_FIELD + b'{"type":"thread.item.'
_ADDED = _EVENT + b'added"'
_ENDED = (_EVENT + b'done"', _EVENT + b'removed"')


class ItemTracker:
    """The items that a reader saw begin and not end, so that they can be withdrawn if the run ends without them."""

    def __init__(self) -> None:
        self.unfinished: set[str] = set()

    def note(self, frame: bytes) -> None:
        """Look at a ChatKit frame; cheap for those that neither begin nor end an item."""
        start = frame.index(b"\n") + 1
        if frame.startswith(_ADDED, start):
            self.unfinished.add(json.loads(frame_data(frame))["item"]["id"])
        elif frame.startswith(_ENDED, start):
            event = json.loads(frame_data(frame))
            self.unfinished.discard(event["item_id"] if "item_id" in event else event["item"]["id"])


class ItemGate:
    """After a loss, lets pass what still makes sense to a reader that missed something.

    Updates of an item whose beginning was missed would show text with a hole: the item's final state, which always
    passes, shows it whole. Items that the reader was given from the store do not begin a second time.
    """

    def __init__(self, stored: Iterable[str]) -> None:
        self._stored = frozenset(stored)
        self._begun: set[str] = set()

    def admits(self, frame: bytes) -> bool:
        """Tell whether the ChatKit frame may pass."""
        event: dict[str, Any] = json.loads(frame_data(frame))
        match event["type"]:
            case "thread.item.added":
                item_id: str = event["item"]["id"]
                if item_id in self._stored:
                    return False
                self._begun.add(item_id)
                return True
            case "thread.item.updated":
                return event["item_id"] in self._begun
            case _:
                return True
