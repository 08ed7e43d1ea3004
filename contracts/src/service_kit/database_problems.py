"""A database that does not answer is a 503 problem, not an unexpected error."""

from traceback import format_tb

import asyncpg
import structlog
from fastapi import FastAPI, Request
from starlette.responses import Response

from service_kit.problems import ProblemError, ServiceUnavailableError, problem_response
from service_kit.requests import request_id_of

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 1

DATABASE_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""All that asyncpg raises; what it says of broken connections has no base of its own."""

_UNAVAILABLE_STATES = ("08", "25P03", "25P04", "40", "53", "55P03", "57014", "57P")
"""SQLSTATE classes and codes: connection exception, transaction too long, transaction rollback, insufficient resources,
lock not available, query cancelled, operator intervention."""

_LOST = ("is closed", "is closing", "been released")
"""What asyncpg's InterfaceError says when the connection is gone; it also raises the class for mistakes of ours."""


class OutcomeUnknownError(ProblemError):
    """The connection was lost while the transaction was being committed."""

    status = 503
    code = "outcome_unknown"
    detail = "The connection to the database broke: the change may or may not have been made. Please look again."


def is_unavailable(error: Exception) -> bool:
    """Tell whether the database could not be reached, was shut down, gave way or had no connection free."""
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        # A migration has changed a table: the next attempt prepares its statements anew.
        return True
    if isinstance(error, asyncpg.PostgresError):
        return str(getattr(error, "sqlstate", None) or "").startswith(_UNAVAILABLE_STATES)
    if isinstance(error, asyncpg.InterfaceError):
        # Of this very class: the message of a DataError quotes what a user has written.
        return type(error) is asyncpg.InterfaceError and any(words in str(error) for words in _LOST)
    return isinstance(error, OSError | asyncpg.InternalClientError)


def _facts(error: Exception) -> dict[str, str | None]:
    """Return what may be logged of an error. Its message may not: Postgres quotes the row in question."""
    names = ("sqlstate", "constraint_name", "table_name")
    return {"error": type(error).__name__} | {name: getattr(error, name, None) for name in names}


async def _on_database_error(request: Request, error: Exception) -> Response:
    request_id = request_id_of(request.scope)
    if is_unavailable(error):
        log.warning("database_unavailable", **_facts(error))
        problem, headers = ServiceUnavailableError, {"Retry-After": str(RETRY_AFTER_SECONDS)}
    else:
        stack = "".join(format_tb(error.__traceback__))
        log.error("database_statement_failed", path=request.url.path, **_facts(error), stack=stack)
        problem, headers = ProblemError, {}
    return problem_response(problem.status, problem.code, problem.detail, request_id=request_id, headers=headers)


def install_database_problems(app: FastAPI) -> None:
    """Answer failures of the database as problems: 503 while it cannot be reached, else 500."""
    for failure in DATABASE_ERRORS:
        app.add_exception_handler(failure, _on_database_error)
