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
        """Longest time after the last proof that the run can be followed before a stream ends with an error."""
        return 2 * self.lease_seconds + 5

    @property
    def answer_seconds(self) -> float:
        """Longest wait for the history-service, so that it is asked more than once before the stream is lost."""
        return max(1.0, min(5.0, self.lease_seconds / 3))

    @property
    def gather_seconds(self) -> float:
        """Longest that a question waits for others to be asked along with it."""
        return self.lease_seconds / 30

    @property
    def log_seconds(self) -> float:
        """Longest wait for a page of the log: Redis may accept connections and not answer."""
        return max(0.5, min(2.0, self.lease_seconds / 3))
