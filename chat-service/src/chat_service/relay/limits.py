"""Bounds of the relay."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RelayLimits:
    """Bounds of a reader."""

    queue_frames: int
    """Frames that may wait for a slow client before it has to read them from the log."""

    keepalive_seconds: float
    lease_seconds: float

    @property
    def lost_after_seconds(self) -> float:
        """Longest silence, with nobody to ask, before a stream ends with an error."""
        return 2 * self.lease_seconds + 5
