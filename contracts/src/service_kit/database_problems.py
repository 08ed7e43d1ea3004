"""A database that does not answer is a 503 problem, not an unexpected error."""

import structlog
from fastapi import FastAPI, Request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.responses import Response

from service_kit.problems import ProblemError, ServiceUnavailableError, problem_response
from service_kit.requests import request_id_of

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 1
_UNAVAILABLE_STATES = ("08", "53", "57P")
"""SQLSTATE classes: connection exception, insufficient resources, operator intervention."""


def is_unavailable(error: Exception) -> bool:
    """Tell whether the database could not be reached, was shut down or had no connection free."""
    if isinstance(error, OSError | PoolTimeoutError):
        return True
    if isinstance(error, DBAPIError):
        state = str(getattr(error.orig, "sqlstate", None) or "")
        return error.connection_invalidated or state.startswith(_UNAVAILABLE_STATES)
    return False


async def _on_database_error(request: Request, error: Exception) -> Response:
    request_id = request_id_of(request.scope)
    if is_unavailable(error):
        log.warning("database_unavailable", error=type(error).__name__)
        problem, headers = ServiceUnavailableError, {"Retry-After": str(RETRY_AFTER_SECONDS)}
    else:
        log.error("database_statement_failed", path=request.url.path, exc_info=error)
        problem, headers = ProblemError, {}
    return problem_response(problem.status, problem.code, problem.detail, request_id=request_id, headers=headers)


def install_database_problems(app: FastAPI) -> None:
    """Answer failures of the database as problems: 503 while it cannot be reached, else 500."""
    for failure in (DBAPIError, PoolTimeoutError, OSError):
        app.add_exception_handler(failure, _on_database_error)
