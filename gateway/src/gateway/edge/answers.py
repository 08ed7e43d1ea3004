"""The way past the server, for answers that come in chunks already."""

import asyncio

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_ANSWER = "answer"


def note_answer(cycle: RequestResponseCycle) -> None:
    """Let the request's scope know of its answer."""
    cycle.scope.setdefault("state", {})[_ANSWER] = cycle


def chunked_connection_of(scope: Scope) -> asyncio.Transport | None:
    """Return the connection of an answer whose head was sent and whose body goes out in chunks.

    A chunk may be written there where `send` would have written the same one: it does nothing else with a piece than
    wait for slow callers, drop what is for nobody, and frame it. None of an answer without chunks (one that told its
    length, one to HEAD) and with another server.
    """
    cycle: RequestResponseCycle | None = scope.get("state", {}).get(_ANSWER)
    if cycle is None or not cycle.chunked_encoding or cycle.response_complete or scope["method"] == "HEAD":
        return None
    return cycle.transport
