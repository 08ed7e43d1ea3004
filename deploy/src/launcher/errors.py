"""What can stop the launcher. Each message is one line: the reason, and what to do."""


class LauncherError(Exception):
    """The product cannot be started; the message says why and what to do about it."""


class PortTakenError(LauncherError):
    """Another program listens on a port that a service needs."""


class AlreadyRunningError(LauncherError):
    """Another launcher runs on this data folder."""


class NotReadyError(LauncherError):
    """A program did not become ready in its time, or ended before."""


class SecretsError(LauncherError):
    """The file of secrets is unreadable or damaged."""


class TrustError(LauncherError):
    """Another service's name, key or scopes cannot be used."""


class EmbeddedDatabaseError(LauncherError):
    """An embedded database cannot be used on this machine."""
