"""The app of task-tools: REST routes, and the MCP server at `/mcp`."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.middleware import Middleware
from starlette.routing import Route

from service_kit.app import create_service_app
from service_kit.body_limit import BodyLimitMiddleware
from service_kit.database import open_database
from service_kit.database_problems import install_database_problems
from service_kit.health import ReadinessCheck
from service_kit.openapi import OperationErrors
from service_kit.sweeper import Sweeper
from task_tools.errors import TaskForbiddenError, TaskNotFoundError
from task_tools.routes import tasks
from task_tools.services.retention import retention_jobs
from task_tools.services.tool_calls import ToolCalls
from task_tools.settings import ANY_HOST, Settings
from task_tools.tools.bodies import WholeBodyMiddleware
from task_tools.tools.calls import ToolCaller
from task_tools.tools.route import McpRoute
from task_tools.tools.server import create_mcp_server

SERVICE = "task-tools"
MCP_PATH = "/mcp"

_ERRORS = OperationErrors(by_parameter={"task_id": (TaskNotFoundError, TaskForbiddenError)})


def create_app(settings: Settings) -> FastAPI:
    """Make the app. Nothing is opened before it starts; it can be started once."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_database(settings) as database:
            app.state.database = database
            server = create_mcp_server(ToolCaller(app.state.token_verifier, ToolCalls(database)))
            _mount(server, app, settings)
            sweeper = Sweeper(retention_jobs(settings, database), settings.tool_call_sweep_seconds)
            async with server.session_manager.run(), sweeper.running():
                yield

    app = create_service_app(
        SERVICE, settings, lifespan=lifespan, checks=_checks, description=__doc__ or "", errors=_ERRORS
    )
    install_database_problems(app)
    # Innermost, so that its answers have a request id and are counted.
    app.user_middleware.append(Middleware(BodyLimitMiddleware, max_bytes=settings.max_body_bytes))
    app.router.routes.extend(tasks.router.routes)
    return app


def _mount(server: MCPServer[Any], app: FastAPI, settings: Settings) -> None:
    """Serve MCP at `/mcp`, without sessions: any instance answers any call, also after a restart."""
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=ANY_HOST not in settings.mcp_allowed_hosts,
        allowed_hosts=settings.mcp_allowed_hosts,
    )
    mcp_app = server.streamable_http_app(stateless_http=True, json_response=True, transport_security=security)
    # Calls alone: without sessions there is nothing to listen to (GET) or to end (DELETE), and a listener that sends no
    # token could stay for ever.
    endpoints = [route.endpoint for route in mcp_app.routes if isinstance(route, Route)]
    within = [Middleware(WholeBodyMiddleware)]
    app.router.routes.extend(McpRoute(MCP_PATH, each, methods=["POST"], middleware=within) for each in endpoints)


def _checks(request: Request) -> Mapping[str, ReadinessCheck]:
    return {"postgres": request.app.state.database.ping}
