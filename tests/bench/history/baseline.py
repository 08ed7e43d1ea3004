"""`python -m tests.bench.history.baseline`: the newest page without a service around it.

A bare Starlette route with the service's SQL: begin, assume role and user, select, commit; through an asyncpg pool that
resets nothing, as the service's. It believes whatever user it is told. Environment: DATABASE_URL, PORT.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg
import uvicorn
from asyncpg.pool import PoolConnectionProxy
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from history_service.storage import message_statements
from history_service.storage.roles import USER_ROLE
from launcher.ports import LOOPBACK

USER_HEADER = "x-user"
POOL_SIZE = 20

_ASSUME = "SELECT set_config('role', $1, true), set_config('app.user_id', $2, true)"
_PAGE = message_statements.ITEM_PAGES["desc", "none", False]


async def list_items(request: Request) -> Response:
    """Return the newest page."""
    user_id, rows = request.headers[USER_HEADER], int(request.query_params["limit"]) + 1
    values = {"conversation_id": request.path_params["id"], "user_id": user_id, "rows": rows}
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        await connection.execute(_ASSUME, USER_ROLE, user_id)
        found = await connection.fetch(_PAGE.sql, *_PAGE.arguments(values))
    data, more = ",".join(row["payload"] for row in found[: rows - 1]), "true" if len(found) == rows else "false"
    return Response(f'{{"data":[{data}],"has_more":{more},"after":null}}', media_type="application/json")


async def answer(request: Request) -> Response:
    """Tell that the server is there."""
    return Response()


async def _reset_nothing(connection: PoolConnectionProxy) -> None:
    """Save a round trip, as the service does."""


def create_app(database_url: str) -> Starlette:
    """Make the app."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with asyncpg.create_pool(database_url, min_size=0, max_size=POOL_SIZE, reset=_reset_nothing) as pool:
            app.state.pool = pool
            yield

    routes = [Route("/conversations/{id}/items", list_items), Route("/healthz", answer)]
    return Starlette(routes=routes, lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(
        create_app(os.environ["DATABASE_URL"]),  # noqa: TID251 - the program's own settings
        host=LOOPBACK,
        port=int(os.environ["PORT"]),  # noqa: TID251 - the program's own settings
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
