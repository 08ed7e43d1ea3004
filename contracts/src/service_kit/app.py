"""What every FastAPI app of Threadkeep starts from, and how a service is run."""

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request

from service_kit.health import ReadinessCheck, install_health
from service_kit.internal_tokens import TokenVerifier
from service_kit.logging import configure_logging
from service_kit.metrics import install_metrics
from service_kit.openapi import OperationErrors, install_openapi
from service_kit.problems import install_problem_handlers
from service_kit.requests import RequestIdMiddleware
from service_kit.settings import ServiceSettings

if sys.platform != "win32":
    import resource

MOST_FILES = 65_536
KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open: longer than every client keeps one, so that none meets a closing one."""

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_service_app(
    service: str,
    settings: ServiceSettings,
    *,
    lifespan: Lifespan,
    checks: Callable[[Request], Mapping[str, ReadinessCheck]],
    description: str = "",
    errors: OperationErrors | None = None,
) -> FastAPI:
    """Make an app with problem details, request ids, health, metrics and token verification in place.

    `errors` is what its OpenAPI document tells of errors.
    """
    app = FastAPI(
        title=f"Threadkeep {service}",
        description=description,
        version="0.1.0",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Nothing is exported that way; left on, it looks for exporters at each request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.token_verifier = TokenVerifier(service, settings.internal_trust)
    install_problem_handlers(app)
    install_openapi(app, errors or OperationErrors())
    install_health(app, checks)
    install_metrics(app, service)
    app.add_middleware(RequestIdMiddleware)
    return app


def run_service(service: str, app: FastAPI, settings: ServiceSettings, port: int, **options: Any) -> None:
    """Serve until SIGTERM or SIGINT; open requests get the grace period to end. `options` are more of uvicorn's."""
    configure_logging(service, settings.log_format, settings.log_level)
    _allow_many_files()
    uvicorn.run(
        app,
        host=settings.bind_host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.shutdown_grace_seconds),
        **options,
    )


def _allow_many_files() -> None:
    """Raise the number of files that may be open as far as this process may.

    Many systems begin with 1024, and a stream needs two.
    """
    if sys.platform != "win32":
        least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
        if least != resource.RLIM_INFINITY and least < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
