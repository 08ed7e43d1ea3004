"""What can stop the preparation."""


class BootstrapError(Exception):
    """Something is missing or failed; the message is one line: the reason, and what to do."""
