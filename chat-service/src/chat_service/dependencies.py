"""What routes ask for. All coroutines: FastAPI would run plain functions in threads."""

from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request

from chat_service.context import ChatContext
from chat_service.resources import Resources
from chat_service.settings import Settings
from contracts import principal
from contracts.frames import LOG_START, Cursor, parse_cursor
from contracts.principal import Principal
from history_client import UserHistory
from service_kit.principal import ScopeMissingError, require_scope
from service_kit.problems import InvalidRequestError, PayloadTooLargeError
from service_kit.requests import request_id_of

ChatPrincipal = Annotated[Principal, require_scope(principal.CHAT)]
ThreadPrincipal = Annotated[Principal, require_scope(principal.CHAT, thread=True)]
"""May be kept to one thread (`thread_id`): who asks for it sees to that."""


async def current_settings(request: Request) -> Settings:
    """Return the settings in force."""
    return request.app.state.settings


async def current_resources(request: Request) -> Resources:
    """Return what the service holds open."""
    return request.app.state.resources


CurrentSettings = Annotated[Settings, Depends(current_settings)]
CurrentResources = Annotated[Resources, Depends(current_resources)]


async def user_history(request: Request, caller: ThreadPrincipal, resources: CurrentResources) -> UserHistory:
    """Return the history of the user that the caller acts for."""
    if caller.user_id is None:
        raise ScopeMissingError()
    return resources.history.as_user(caller.user_id, request_id=request_id_of(request.scope))


History = Annotated[UserHistory, Depends(user_history)]


async def chat_context(history: History, caller: ThreadPrincipal) -> ChatContext:
    """Return the context that the SDK carries through the request."""
    return ChatContext(history, caller.thread_id)


CurrentChat = Annotated[ChatContext, Depends(chat_context)]


async def bounded_body(request: Request, settings: CurrentSettings) -> bytes:
    """Return the request's body. Raises PayloadTooLargeError as soon as it is known to be too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > settings.max_request_bytes:
            raise PayloadTooLargeError(f"A request has at most {settings.max_request_bytes} bytes.")
    return bytes(body)


BoundedBody = Annotated[bytes, Depends(bounded_body)]


RunId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]{0,127}$")]


async def start_cursor(
    last_event_id: Annotated[str | None, Header(description="Id of the last event seen (server-sent events)")] = None,
    after: Annotated[str | None, Query(description="The same, for clients that cannot set the header")] = None,
) -> Cursor:
    """Return the cursor to read from behind; the log's start if none is given."""
    given = last_event_id or after
    if not given:
        return LOG_START
    try:
        return parse_cursor(given)
    except ValueError as error:
        raise InvalidRequestError("A cursor is the id of an event: <attempt>-<seq>.") from error


StartCursor = Annotated[Cursor, Depends(start_cursor)]
