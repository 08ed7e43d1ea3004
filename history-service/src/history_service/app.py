"""The history-service's app."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from starlette.middleware import Middleware

from history_service.body_limit import BodyLimitMiddleware
from history_service.dependencies import resources_of
from history_service.resources import SERVICE, open_resources
from history_service.routes import conversations, items, runs, work
from history_service.settings import Settings
from service_kit.app import create_service_app
from service_kit.database import ping
from service_kit.database_problems import install_database_problems
from service_kit.health import ReadinessCheck


def create_app(settings: Settings) -> FastAPI:
    """Make the app; its resources live as long as its lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_resources(settings) as resources:
            app.state.resources = resources
            yield

    def checks(request: Request) -> dict[str, ReadinessCheck]:
        return {"postgres": lambda: ping(resources_of(request).engine)}

    app = create_service_app(
        SERVICE, settings, lifespan=lifespan, checks=checks, description="Conversations, messages and runs."
    )
    install_database_problems(app)
    # Innermost, so that its answers have a request id and are counted.
    app.user_middleware.append(Middleware(BodyLimitMiddleware, max_bytes=settings.max_body_bytes))
    for routes in (conversations, items, work, runs):
        app.include_router(routes.router)
    return app
