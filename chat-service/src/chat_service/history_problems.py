"""What the history-service refuses, passed on to the caller as problem details."""

import structlog
from fastapi import FastAPI, Request
from starlette.responses import Response

from history_client import (
    HistoryBusyError,
    HistoryConflictError,
    HistoryError,
    HistoryForbiddenError,
    HistoryInvalidError,
    HistoryNotFoundError,
    HistoryTimeoutError,
    HistoryUnavailableError,
)
from service_kit.principal import ScopeMissingError
from service_kit.problems import ServiceUnavailableError, problem_response
from service_kit.requests import request_id_of

log = structlog.get_logger(__name__)

_OURS = (HistoryConflictError, HistoryForbiddenError, HistoryInvalidError, HistoryNotFoundError)
"""Facts about what the caller asked for; everything else is about the service."""

TIMEOUT_DETAIL = "A service that this one needs did not answer in time. Please try again."
FAILED_DETAIL = "A service that this one needs failed."


async def _on_history_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HistoryError)  # noqa: S101 - registered for this class alone
    request_id = request_id_of(request.scope)
    if isinstance(error, _OURS) and error.status is not None and error.code != ScopeMissingError.code:
        return problem_response(error.status, error.code, error.detail, request_id=request_id)
    if isinstance(error, HistoryBusyError):
        seconds = 1 if error.retry_after_seconds is None else error.retry_after_seconds
        headers = {"Retry-After": f"{seconds:.0f}"}
        return problem_response(429, error.code, error.detail, request_id=request_id, headers=headers)
    log.warning("history_failed", error=type(error).__name__, code=error.code, status=error.status)
    if isinstance(error, HistoryTimeoutError):
        return problem_response(504, "upstream_timeout", TIMEOUT_DETAIL, request_id=request_id)
    if isinstance(error, HistoryUnavailableError):
        return problem_response(
            503, ServiceUnavailableError.code, ServiceUnavailableError.detail, request_id=request_id
        )
    return problem_response(502, "upstream_failed", FAILED_DETAIL, request_id=request_id)


def install_history_problems(app: FastAPI) -> None:
    """Answer every HistoryError as a problem."""
    app.add_exception_handler(HistoryError, _on_history_error)
