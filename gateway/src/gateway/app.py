"""The gateway's app."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI, Request
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from contracts.principal import Service
from gateway.errors import (
    KeysUnavailableError,
    LimitsUnavailableError,
    RateLimitedError,
    SessionExpiredError,
    SessionNotAllowedError,
    SessionRevokedError,
    UpstreamFailedError,
    UpstreamTimeoutError,
    UserMismatchError,
)
from gateway.limits.guard import AddressLimitMiddleware
from gateway.resources import Resources
from gateway.routes import chat, chatkit, chatkit_sessions, conversations, model, runs, tasks
from gateway.settings import Settings
from service_kit.app import create_service_app
from service_kit.health import ReadinessCheck
from service_kit.openapi import TOKEN_ERRORS, OperationErrors
from service_kit.requests import REQUEST_ID_HEADER

_DESCRIPTION = """Threadkeep's public API. Every route needs a Better Auth JWT of the user in its path; those that
say so take the client secret of a ChatKit session as well.

Errors are problem details (RFC 9457) with a stable `code`."""

_ERRORS = OperationErrors(
    secured=(
        *(*TOKEN_ERRORS, SessionExpiredError, SessionRevokedError, UserMismatchError, SessionNotAllowedError),
        *(KeysUnavailableError, LimitsUnavailableError, RateLimitedError, UpstreamFailedError, UpstreamTimeoutError),
    )
)

_SERVICES: tuple[Service, ...] = ("chat-service", "history-service", "task-tools")

_CORS_REQUEST_HEADERS = (
    *("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID"),
    *("Traceparent", "Tracestate", REQUEST_ID_HEADER),
)
_CORS_RESPONSE_HEADERS = ("RateLimit", "RateLimit-Policy", "Retry-After", "X-Run-Id", REQUEST_ID_HEADER)


def create_app(settings: Settings) -> FastAPI:
    """Make the app. Nothing is opened before it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with Resources.open(settings) as resources:
            app.state.resources = resources
            yield

    app = create_service_app(
        "gateway", settings, lifespan=lifespan, checks=_checks, description=_DESCRIPTION, errors=_ERRORS
    )
    modules = (conversations, runs, chatkit, chat, tasks, model, chatkit_sessions)
    # The routes themselves, the busiest first: an included router is matched on the way to each of its routes.
    app.router.routes[:0] = [route for module in modules for route in module.router.routes]
    # Within the others, so that what it refuses has a request id, is counted, and can be read across origins.
    app.user_middleware.append(Middleware(AddressLimitMiddleware))
    if settings.cors_allow_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_allow_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=_CORS_REQUEST_HEADERS,
            expose_headers=_CORS_RESPONSE_HEADERS,
        )
    return app


def _checks(request: Request) -> Mapping[str, ReadinessCheck]:
    """Name the services inside. The tokens' issuer is none of them: known keys are good without it."""
    resources: Resources = request.app.state.resources
    return {service: partial(resources.upstreams.ping, service) for service in _SERVICES}
