"""ChatKit sessions: client secrets for embedded pages. The user makes and revokes them; a session itself cannot."""

from datetime import datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from redis.exceptions import RedisError
from starlette.requests import ClientDisconnect

from gateway.dependencies import Caller, CurrentCaller, OwnRoute
from gateway.errors import SessionsUnavailableError
from gateway.routes.documentation import USER_PATH, ObjectId, json_body
from service_kit.problems import InvalidRequestError, PayloadTooLargeError, invalid_request

MAX_BODY_BYTES = 4096

router = APIRouter(prefix=USER_PATH, tags=["chat"], route_class=OwnRoute)


class SessionCreate(BaseModel):
    """What a session shall open, and for how long. An unknown field is refused: a misspelt one would open more."""

    model_config = ConfigDict(extra="forbid")

    thread_id: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]{0,127}$")] = None
    """The only thread that the session opens; without it, all of the user's, and new ones."""

    expires_in_seconds: Annotated[int | None, Field(ge=1)] = None
    """At most `CHATKIT_SESSION_SECONDS`, which is the default; a longer life is cut down to it."""


class SessionCreated(BaseModel):
    """A session. `client_secret` is shown this once, and is sent as bearer token until `expires_at` (UTC)."""

    client_secret: str
    expires_at: datetime
    session_id: str
    chatkit_url: str
    """The path to post ChatKit requests to, on the gateway's origin."""

    thread_id: str | None


async def wanted_session(request: Request, caller: CurrentCaller) -> SessionCreate:
    """Read the body, which may be empty. Raises PayloadTooLargeError and InvalidRequestError."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise PayloadTooLargeError(limit=MAX_BODY_BYTES)
    except ClientDisconnect as error:
        raise InvalidRequestError("The request's body is incomplete.") from error  # nobody's failure: nothing to log
    try:
        return SessionCreate.model_validate_json(bytes(body)) if body else SessionCreate()
    except ValidationError as error:
        raise invalid_request(error) from error


@router.post(
    "/chatkit/session",
    status_code=201,
    summary="Create a ChatKit session",
    description="Its `client_secret` opens the user's chat routes to an embedded page, until it expires or is revoked.",
    openapi_extra=json_body(SessionCreate, required=False),
)
async def create_session(
    caller: CurrentCaller, wanted: Annotated[SessionCreate, Depends(wanted_session)], response: Response
) -> SessionCreated:
    """Sign a client secret. Nothing is stored."""
    client_secret, session = caller.resources.sessions.create(
        caller.user_id, thread_id=wanted.thread_id, seconds=wanted.expires_in_seconds
    )
    response.headers["Cache-Control"] = "no-store"
    return SessionCreated(
        client_secret=client_secret,
        expires_at=session.expiry,
        session_id=session.session_id,
        chatkit_url=f"/api/{quote(caller.user_id, safe='')}/chatkit",
        thread_id=session.thread_id,
    )


@router.delete(
    "/chatkit/session/{session_id:id}",
    status_code=204,
    summary="Revoke a ChatKit session",
    description="Refused after at most `SESSION_REVOCATION_SECONDS`. One that is unknown or over is fine, too.",
)
async def revoke_session(caller: CurrentCaller, session_id: ObjectId) -> None:
    """Let all gateways know."""
    await _revoke(caller, session_id)


@router.delete(
    "/chatkit/session",
    status_code=204,
    summary="Revoke all ChatKit sessions of the user",
    description="They are refused after at most `SESSION_REVOCATION_SECONDS`; later ones are not concerned.",
)
async def revoke_sessions(caller: CurrentCaller) -> None:
    """Let all gateways know."""
    await _revoke(caller, None)


async def _revoke(caller: Caller, session_id: str | None) -> None:
    revocations = caller.resources.sessions.revocations
    try:
        if session_id is None:
            await revocations.revoke_all(caller.user_id)
        else:
            await revocations.revoke(caller.user_id, session_id)
    except (RedisError, TimeoutError) as error:
        raise SessionsUnavailableError(headers={"Retry-After": "1"}) from error
