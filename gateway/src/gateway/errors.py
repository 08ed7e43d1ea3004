"""Facts that the gateway itself tells its callers."""

from service_kit.problems import ProblemError, ServiceUnavailableError


class UserMismatchError(ProblemError):
    """The path names another user than the token."""

    status = 403
    code = "user_mismatch"
    detail = "This path belongs to another user than the one who is signed in."


class KeysUnavailableError(ServiceUnavailableError):
    """No token can be judged yet: the issuer's keys could not be fetched so far."""

    detail = "Sign-in cannot be checked yet: the keys of its issuer are not available. Please try again."


class UpstreamUnavailableError(ServiceUnavailableError):
    """The service behind this route cannot be reached."""


class UpstreamTimeoutError(ProblemError):
    """The service behind this route took the request and stayed silent."""

    status = 504
    code = "upstream_timeout"
    detail = "A service that this one needs took too long. Please try again."


class UpstreamFailedError(ProblemError):
    """The service behind this route answered with something that cannot be passed on."""

    status = 502
    code = "upstream_failed"
    detail = "A service that this one needs gave no proper answer. Please try again."
