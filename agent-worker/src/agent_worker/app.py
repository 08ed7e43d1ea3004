"""The worker's process: its health and metrics over HTTP, the worker itself in the lifespan."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress

import structlog
from fastapi import FastAPI, Request

from agent_worker.resources import Resources, open_resources
from agent_worker.settings import Settings
from agent_worker.worker import Worker
from service_kit.app import create_service_app
from service_kit.health import ReadinessCheck

log = structlog.get_logger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """Make the app whose lifespan is the worker's."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_resources(settings) as resources:
            worker = Worker(resources, settings)
            app.state.resources = resources
            serving = asyncio.create_task(worker.serve())
            serving.add_done_callback(_stop_process_on_crash)
            log.info("worker_started", worker_id=worker.id, model_provider=settings.provider)
            yield
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
            await worker.drain(settings.worker_drain_seconds)

    return create_service_app("agent-worker", settings, lifespan=lifespan, checks=_checks)


def _checks(request: Request) -> Mapping[str, ReadinessCheck]:
    resources: Resources = request.app.state.resources

    async def redis() -> object:
        return await resources.redis.ping()

    return {"redis": redis, "tools": resources.tools.tools}


def _stop_process_on_crash(serving: "asyncio.Task[None]") -> None:
    """A worker that no longer claims must not look alive: end the process, whoever supervises it starts another."""
    if not serving.cancelled() and (error := serving.exception()) is not None:
        log.critical("worker_crashed", exc_info=error)
        signal.raise_signal(signal.SIGTERM)
