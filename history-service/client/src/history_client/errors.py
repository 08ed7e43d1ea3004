"""What can go wrong when asking the history-service.

HistoryError
├── HistoryUnavailableError      no connection, or a 5xx answer: trying again may help
│   ├── HistoryTimeoutError      it did not answer in time: the call may have been carried out
│   └── HistoryExportBrokenError an export that was cut off
├── HistoryUnauthorizedError     401: our token was not accepted
├── HistoryForbiddenError        403: somebody else's, or the token's scope does not allow it
├── HistoryNotFoundError         404
├── HistoryConflictError         409
│   └── LeaseLostError           the run is no longer this attempt's: stop at once
├── HistoryInvalidError          400, 413, 422: our request was wrong
└── HistoryBusyError             429: later, after `retry_after_seconds`
"""

from pydantic import ValidationError

from contracts.problems import Problem
from service_kit.answers import Answer

LEASE_LOST_CODES = frozenset({"lease_lost", "attempt_stale", "run_finished"})


class HistoryError(Exception):
    """Base of them all. `code` is the stable code of the problem; `status` is None if there was no answer."""

    def __init__(self, code: str, detail: str, *, status: int | None = None) -> None:
        self.code = code
        self.detail = detail
        self.status = status
        super().__init__(f"{code}: {detail}")


class HistoryUnavailableError(HistoryError):
    """The service could not be reached or failed; trying again may help."""


class HistoryTimeoutError(HistoryUnavailableError):
    """The service did not answer in time. What was asked may or may not have been done."""


class HistoryExportBrokenError(HistoryUnavailableError):
    """An export was cut off, or is not what its end says."""

    def __init__(self) -> None:
        super().__init__("export_broken", "The export is not complete.")


class HistoryUnauthorizedError(HistoryError):
    """The service did not accept our token."""


class HistoryForbiddenError(HistoryError):
    """The thing is somebody else's, or the token does not allow this."""


class HistoryNotFoundError(HistoryError):
    """There is no such thing."""


class HistoryConflictError(HistoryError):
    """The state of the thing does not allow this."""


class LeaseLostError(HistoryConflictError):
    """The run has gone to another attempt or has ended: this attempt may not write any more."""


class HistoryInvalidError(HistoryError):
    """The request does not have the documented shape."""


class HistoryBusyError(HistoryError):
    """Too much at once."""

    def __init__(self, code: str, detail: str, *, retry_after_seconds: float | None = None) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(code, detail, status=429)


_BY_STATUS: dict[int, type[HistoryError]] = {
    401: HistoryUnauthorizedError,
    403: HistoryForbiddenError,
    404: HistoryNotFoundError,
    409: HistoryConflictError,
}


def error_of(answer: Answer) -> HistoryError:
    """Return the error that an answer with status 400 or above tells of."""
    status = answer.status
    try:
        problem = Problem.model_validate_json(answer.content)
        code, detail = problem.code, problem.detail
    except ValidationError:
        code, detail = "unexpected_answer", f"The history-service answered {status}."
    if status == 429:
        retry_after = answer.header(b"retry-after") or b""
        return HistoryBusyError(code, detail, retry_after_seconds=float(retry_after) if retry_after.isdigit() else None)
    if status >= 500:
        return HistoryUnavailableError(code, detail, status=status)
    if code in LEASE_LOST_CODES:
        return LeaseLostError(code, detail, status=status)
    return _BY_STATUS.get(status, HistoryInvalidError)(code, detail, status=status)
