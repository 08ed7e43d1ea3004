"""Facts that the gateway itself tells its callers."""

from service_kit.problems import ProblemError, ServiceUnavailableError


class UserMismatchError(ProblemError):
    """The path names another user than the token."""

    status = 403
    code = "user_mismatch"
    detail = "This path belongs to another user than the one who is signed in."


class SessionNotAllowedError(ProblemError):
    """A ChatKit session opens chat routes; this is another one."""

    status = 403
    code = "session_not_allowed"
    detail = "A ChatKit session does not open this. It needs the user's own token."


class SessionExpiredError(ProblemError):
    """The client secret was valid once. ChatKit asks for another one."""

    status = 401
    code = "session_expired"
    detail = "The ChatKit session has expired. Ask for another client secret."


class SessionRevokedError(ProblemError):
    """The user took the ChatKit session back."""

    status = 401
    code = "session_revoked"
    detail = "The ChatKit session was revoked."


class SessionsUnavailableError(ServiceUnavailableError):
    """Redis, which knows the revoked sessions, does not answer."""

    detail = "It cannot be checked or noted now which ChatKit sessions were revoked. Please try again."


class KeysUnavailableError(ServiceUnavailableError):
    """No token can be judged yet: the issuer's keys could not be fetched so far."""

    detail = "Sign-in cannot be checked yet: the keys of its issuer are not available. Please try again."


class RateLimitedError(ProblemError):
    """The user, or the address, has asked too often within a window."""

    status = 429
    code = "rate_limited"
    detail = "Too many requests. Please try again later."


class TooManyStreamsError(ProblemError):
    """The user, or the address, holds as many streams open as they may."""

    status = 429
    code = "too_many_streams"
    detail = "Too many answers are being streamed at once. Close one of them, or wait until it has ended."


class LimitsUnavailableError(ServiceUnavailableError):
    """Redis, which knows the limits' counts, does not answer, and the setting says to refuse then."""

    code = "limits_unavailable"
    detail = "It cannot be checked now whether this is within the limits. Please try again."


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
