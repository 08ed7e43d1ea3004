"""The chat-service's app."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

from chat_service.history_problems import install_history_problems
from chat_service.resources import SERVICE, open_resources
from chat_service.routes import chat, chatkit, model, runs
from chat_service.server import quiet_sdk_logger
from chat_service.settings import Settings
from service_kit.app import create_service_app
from service_kit.health import ReadinessCheck


def create_app(settings: Settings) -> FastAPI:
    """Make the app; connections are opened by its lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_resources(settings) as resources:
            app.state.resources = resources
            yield

    def checks(request: Request) -> Mapping[str, ReadinessCheck]:
        return request.app.state.resources.checks

    quiet_sdk_logger()
    app = create_service_app(
        SERVICE, settings, lifespan=lifespan, checks=checks, description="Speaks ChatKit and relays runs' events."
    )
    app.state.settings = settings
    install_history_problems(app)
    # The routes themselves: an included router would serve them in FastAPI's way.
    app.router.routes[:0] = [route for module in (chat, chatkit, runs, model) for route in module.router.routes]
    return app
