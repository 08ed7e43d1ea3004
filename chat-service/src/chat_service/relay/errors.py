"""What keeps a reader from knowing about its run."""


class RecordUnavailableError(Exception):
    """The history-service gave no answer; trying again may help."""


class RunGoneError(Exception):
    """The run is no longer there, or no longer the user's to see."""
