"""Every place that takes a token: the gateway by each algorithm, and the services inside."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from contracts import principal as scopes
from gateway.app import create_app as create_gateway
from gateway.settings import Settings as GatewaySettings
from history_service.migrate import migrate as migrate_history
from service_kit.database_settings import DatabaseSettings
from task_tools.app import create_app as create_tools
from task_tools.migrate import migrate as migrate_tasks
from task_tools.settings import Settings as ToolsSettings
from tests.integration.chat_service.system import Senders, running_system
from tests.security.foreign_tokens import (
    INNER,
    PUBLIC_ISSUER,
    SECRET,
    SIGNING_KEY,
    USER,
    Foreign,
    foreign_inside,
    foreign_outside,
    internal_mint,
    private_key,
    public_mint,
)
from tests.security.mint import Mint, jwk
from tests.support.postgres import PostgresServer
from tests.support.servers import serve
from tests.support.valkey import ValkeyServer

PUBLIC_ALGORITHMS = ("EdDSA", "RS256", "ES256", "HS256")
PLACES = (*(f"gateway {algorithm}" for algorithm in PUBLIC_ALGORITHMS), *INNER)


@dataclass(frozen=True)
class Place:
    """A running service, a route of it that needs nothing else than a token, and who makes good ones."""

    name: str
    url: str
    path: str
    mint: Mint
    foreign: Foreign
    reached: list[str] = field(default_factory=list[str])
    """What a gateway let through."""


@asynccontextmanager
async def running_place(name: str, postgres: PostgresServer, valkey: ValkeyServer) -> AsyncGenerator[Place]:
    """Run one of `PLACES`."""
    kind, _, algorithm = name.partition(" ")
    redis_url = await valkey.empty_database()
    if kind == "gateway":
        async with _gateway(name, algorithm, redis_url) as place:
            yield place
    elif kind == "task-tools":
        async with _database(postgres, "tasks", migrate_tasks) as url, _tools(url) as place:
            yield place
    else:
        async with _database(postgres, "history", migrate_history) as url, _talking(kind, url, redis_url) as place:
            yield place


@asynccontextmanager
async def _database(
    postgres: PostgresServer, name: str, migrate: Callable[[DatabaseSettings], Awaitable[object]]
) -> AsyncGenerator[str]:
    async def bring_up(url: str) -> None:
        await migrate(DatabaseSettings(database_url=SecretStr(url)))

    url = await postgres.create_database(await postgres.template(name, bring_up))
    try:
        yield url
    finally:
        await postgres.drop_database(url)


@asynccontextmanager
async def _gateway(name: str, algorithm: str, redis_url: str) -> AsyncGenerator[Place]:
    mint, reached = public_mint(algorithm), list[str]()

    async def anything(request: Request) -> Response:
        reached.append(request.headers["authorization"])
        return JSONResponse({"data": []})

    async def keys(_request: Request) -> Response:
        return Response(json.dumps({"keys": [jwk(algorithm, mint.key, mint.key_id)]}))

    async with AsyncExitStack() as stack:
        inside = await stack.enter_async_context(serve(Starlette(routes=[Route("/{path:path}", anything)])))
        issuer = await stack.enter_async_context(serve(Starlette(routes=[Route("/api/auth/jwks", keys)])))
        values = {
            **dict.fromkeys(("chat_url", "history_url", "tools_url"), inside),
            "better_auth_url": issuer,
            "better_auth_secret": SECRET.decode(),
            "jwt_issuer": PUBLIC_ISSUER,
            "jwt_algorithm": algorithm,
            "internal_signing_key": SIGNING_KEY,
            "redis_url": redis_url,
            "rate_limit_user": "off",
            "rate_limit_address": "off",
        }
        url = await stack.enter_async_context(serve(create_gateway(GatewaySettings.model_validate(values))))
        yield Place(name, url, f"/api/{USER}/tasks", mint, foreign_outside(mint), reached)


@asynccontextmanager
async def _tools(database_url: str) -> AsyncGenerator[Place]:
    senders = Senders()
    trust = senders.trust(
        gateway=frozenset({scopes.TASKS}), history_service=frozenset({scopes.RUNS_ITEMS, scopes.TASKS})
    )
    settings = ToolsSettings.model_validate({"database_url": database_url, "internal_trust": trust})
    async with serve(create_tools(settings)) as url:
        yield _inner("task-tools", url, "/tasks", senders, "gateway", scopes.TASKS)


@asynccontextmanager
async def _talking(name: str, database_url: str, redis_url: str) -> AsyncGenerator[Place]:
    async with running_system(database_url, redis_url) as system:
        if name == "chat-service":
            yield _inner(name, system.chat_url, "/model", system.senders, "gateway", scopes.CHAT)
        else:
            scope = scopes.CONVERSATIONS_READ
            yield _inner(
                name, str(system.chat_settings["history_url"]), "/conversations", system.senders, "chat-service", scope
            )


def _inner(name: str, url: str, path: str, senders: Senders, sender: str, scope: str) -> Place:
    mint = internal_mint(private_key(senders, sender), sender, name, scope)
    return Place(name, url, path, mint, foreign_inside(name, senders, mint))
