"""Problem details (RFC 9457): the base of business errors, and the handlers that put them on the wire."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from contracts.problems import PROBLEM_MEDIA_TYPE, Problem
from service_kit.requests import request_id_of

log = structlog.get_logger(__name__)

_TITLES = {status.value: status.phrase for status in HTTPStatus}


class ProblemError(Exception):
    """A fact that the caller is told: subclass it once per fact, with `status` and `code` as class attributes.

    `detail` is shown to people; `headers` go onto the response; `extra` members join the problem object.
    """

    status: int = 500
    code: str = "internal_error"
    detail: str = "Something went wrong on our side."

    def __init__(self, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **extra: Any) -> None:
        if detail is not None:
            self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra
        super().__init__(self.detail)


class InvalidRequestError(ProblemError):
    """The payload or a parameter does not have the documented shape."""

    status = 422
    code = "invalid_request"
    detail = "The request does not have the documented shape."


def invalid_request(error: ValidationError | RequestValidationError) -> InvalidRequestError:
    """Return the problem that says where a payload is wrong, and nothing of what it holds."""
    return InvalidRequestError(
        errors=[
            {"loc": [str(part) for part in entry["loc"]], "message": entry["msg"], "type": entry["type"]}
            for entry in error.errors()
        ]
    )


class PayloadTooLargeError(ProblemError):
    """The request's body is longer than the service reads."""

    status = 413
    code = "payload_too_large"
    detail = "The request's body is too large."


class ServiceUnavailableError(ProblemError):
    """A dependency does not answer; trying again later may help."""

    status = 503
    code = "upstream_unavailable"
    detail = "A service that this one needs does not answer. Please try again."


def problem_response(
    status: int,
    code: str,
    detail: str,
    *,
    request_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> Response:
    """Build an `application/problem+json` response."""
    title = _TITLES.get(status, "Error")
    problem = Problem(title=title, status=status, detail=detail, code=code, request_id=request_id, **extra)
    return Response(
        problem.model_dump_json(exclude_none=True),
        status,
        headers=dict(headers or {}),
        media_type=PROBLEM_MEDIA_TYPE,
    )


_HTTP_CODES = {404: "route_not_found", 405: "method_not_allowed", 413: "payload_too_large"}


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this class alone
    return problem_response(
        error.status,
        error.code,
        error.detail,
        request_id=request_id_of(request.scope),
        headers=error.headers,
        **error.extra,
    )


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    if error.status_code == 400:  # FastAPI's answer to a body that is no text: a wrong shape like others
        return await _on_problem(request, InvalidRequestError())
    code = _HTTP_CODES.get(error.status_code, "http_error")
    return problem_response(
        error.status_code,
        code,
        str(error.detail),
        request_id=request_id_of(request.scope),
        headers=error.headers,
    )


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    return await _on_problem(request, invalid_request(error))


async def _on_unexpected(request: Request, error: Exception) -> Response:
    log.error("request_failed", path=request.url.path, exc_info=error)
    return problem_response(500, ProblemError.code, ProblemError.detail, request_id=request_id_of(request.scope))


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error of the app as problem details; unexpected ones are logged and say nothing of themselves."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(Exception, _on_unexpected)
