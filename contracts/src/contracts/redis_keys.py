"""Names of the Redis keys and channels that several processes share."""

RUNS_READY = "runs:ready"
"""List of run ids. A wake-up only: losing it costs at most one poll of a worker."""

EVENT_FIELD = "f"
"""The single field of an entry in a run's event log: the frame's bytes."""


def events_key(run_id: str) -> str:
    """Return the stream that is the run's event log; entry ids are `<attempt>-<seq>`."""
    return f"run:{{{run_id}}}:events"


def live_channel(run_id: str) -> str:
    """Return the pub/sub channel on which the run's frames are published as they are logged."""
    return f"run:{{{run_id}}}:live"


LIVE_CHECK = b"check"
"""Message on the live channel that is no frame: ask the history-service about this run now. It may be lost."""


def control_channel(run_id: str) -> str:
    """Return the pub/sub channel on which the run's worker hears `cancel`."""
    return f"run:{{{run_id}}}:control"


CONTROL_CANCEL = b"cancel"
"""Message on the control channel: the run row now asks for cancellation."""


def revoked_session_key(user_id: str, session_id: str) -> str:
    """Return the key that is there while a revoked ChatKit session of the user could still be used."""
    return f"chatkit:{{{user_id}}}:revoked:{session_id}"


def sessions_revoked_key(user_id: str) -> str:
    """Return the key of when all ChatKit sessions of the user were revoked last, in seconds since the epoch."""
    return f"chatkit:{{{user_id}}}:revoked-until"


RATE_LIMIT_PREFIX = "limits"
"""What the names of the gateways' shared request counts begin with. Each ends with its window."""


def open_streams_key(kind: str, name: str) -> str:
    """Return the sorted set of a user's or an address' open streams; scores are when they stop counting, in ms."""
    return f"limits:streams:{kind}:{name}"
