"""How answers are framed: the way past the server for what comes in chunks already, and no chunks for HTTP/1.0."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send
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


def without_chunks(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """Return the app for a caller that knows no chunks (RFC 9112, section 6.1).

    An answer that does not tell its length ends there with its connection, which HTTP/1.0 does not keep.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        tells_length = False

        async def send_plain(message: Message) -> None:
            nonlocal tells_length
            if message["type"] == "http.response.start":
                tells_length = any(name.lower() == b"content-length" for name, _ in message["headers"])
                cycle.chunked_encoding = None if tells_length else False
            elif not tells_length:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plain)

    return answer
