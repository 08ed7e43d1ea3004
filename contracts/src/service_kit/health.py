"""`/healthz` (the process is alive) and `/readyz` (what it needs answers)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from service_kit.problems import problem_response
from service_kit.requests import request_id_of

log = structlog.get_logger(__name__)

ReadinessCheck = Callable[[], Awaitable[object]]
READINESS_TIMEOUT_SECONDS = 2.0


async def _failure(name: str, check: ReadinessCheck) -> str | None:
    try:
        async with asyncio.timeout(READINESS_TIMEOUT_SECONDS):
            await check()
    except Exception as error:
        log.warning("readiness_check_failed", dependency=name, error=type(error).__name__)
        return name
    return None


def install_health(app: FastAPI, checks: Callable[[Request], Mapping[str, ReadinessCheck]]) -> None:
    """Add both routes. `checks` gives, by name, what must not raise for the service to be ready."""

    @app.get("/healthz", summary="The process is alive")
    async def healthz() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction] - used by its decorator
        return {"status": "ok"}

    @app.get("/readyz", summary="What the service needs answers", response_model=None)
    async def readyz(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction] - used by its decorator
        named = checks(request)
        failures = await asyncio.gather(*(_failure(name, check) for name, check in named.items()))
        down = [name for name in failures if name]
        if down:
            return problem_response(
                503,
                "not_ready",
                f"Not answering: {', '.join(down)}.",
                request_id=request_id_of(request.scope),
                down=down,
            )
        return JSONResponse({"status": "ok", "dependencies": list(named)})
