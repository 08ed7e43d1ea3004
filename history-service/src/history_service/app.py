"""The history-service's app."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from history_service.dependencies import resources_of
from history_service.documentation import ERRORS
from history_service.openai_errors import install_openai_errors
from history_service.resources import SERVICE, open_resources
from history_service.routes import (
    attachments,
    conversations,
    feedback,
    items,
    openai_conversations,
    openai_items,
    runs,
    search,
    users,
    work,
)
from history_service.settings import Settings
from service_kit.app import create_service_app
from service_kit.body_limit import BodyLimitMiddleware
from service_kit.database_problems import install_database_problems
from service_kit.health import ReadinessCheck


def create_app(settings: Settings) -> FastAPI:
    """Make the app; its resources live as long as its lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_resources(settings, app.state.token_verifier) as resources:
            app.state.resources = resources
            yield

    def checks(request: Request) -> dict[str, ReadinessCheck]:
        return {"postgres": resources_of(request).database.ping}

    app = create_service_app(
        SERVICE,
        settings,
        lifespan=lifespan,
        checks=checks,
        description="Conversations, messages and runs.",
        errors=ERRORS,
    )
    install_database_problems(app)
    install_openai_errors(app)
    # Innermost, so that its answers have a request id and are counted.
    uploads = [(attachments.CONTENT_PATH, settings.max_attachment_bytes)]
    limits = Middleware(BodyLimitMiddleware, max_bytes=settings.max_body_bytes, exceptions=uploads)
    app.user_middleware.append(limits)
    routed: list[BaseRoute] = []
    for routes in (
        items,
        search,
        conversations,
        runs,
        work,
        attachments,
        feedback,
        users,
        openai_conversations,
        openai_items,
    ):
        routed.extend(routes.router.routes)
    # The routes themselves, the busiest first: an included router is matched on the way to each of its routes.
    app.router.routes[:0] = routed
    return app
