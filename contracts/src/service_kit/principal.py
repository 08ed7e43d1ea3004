"""The one FastAPI dependency by which a service knows its caller."""

from collections.abc import Callable
from typing import Any

import structlog
from fastapi import Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import HTTPBearer
from fastapi.openapi.models import SecurityBase as SecurityBaseModel
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from starlette.types import Receive, Scope, Send

from contracts.principal import Principal
from service_kit.internal_tokens import InternalTokenError, TokenVerifier
from service_kit.problems import ProblemError

_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_REFUSAL = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class TokenMissingError(ProblemError):
    """No bearer token was sent."""

    status = 401
    code = "token_missing"
    detail = "Sign in first: this request carries no bearer token."


class TokenInvalidError(ProblemError):
    """The bearer token proves nothing here."""

    status = 401
    code = "token_invalid"
    detail = "The bearer token is not valid here."


class TokenExpiredError(TokenInvalidError):
    """The bearer token was valid once."""

    code = "token_expired"
    detail = "The bearer token has expired."


class ScopeMissingError(ProblemError):
    """The caller is known but may not do this."""

    status = 403
    code = "scope_missing"
    detail = "The caller's token does not allow this."


def bearer_token(request: Request) -> str:
    """Return the request's bearer token (RFC 6750, section 2.1). Raises TokenMissingError.

    The scheme's case does not count, nor does the number of spaces after it (RFC 9110, section 11.4). Two such headers
    are refused: another server on the way may have looked at the other one.
    """
    given = request.headers.getlist("authorization")
    if len(given) > 1:
        raise TokenInvalidError(headers=_REFUSAL)
    scheme, _, token = (given[0] if given else "").partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenMissingError(headers=_CHALLENGE)
    return token


def principal_of(request: Request) -> Principal:
    """Verify the internal token with the app's `state.token_verifier`. Raises a 401 problem."""
    verifier: TokenVerifier = request.app.state.token_verifier
    try:
        principal = verifier.verify(bearer_token(request))
    except InternalTokenError as error:
        problem = TokenExpiredError if error.expired else TokenInvalidError
        raise problem(headers=_REFUSAL) from error
    structlog.contextvars.bind_contextvars(principal=principal.user_id or principal.issuer, issuer=principal.issuer)
    return principal


class InternalToken(SecurityBase):
    """The FastAPI dependency that lets only principals with a scope pass.

    With `user` (the default), the token must also name the user acted for. A token for one thread alone passes only
    with `thread`: the route then keeps its caller there. A service that wants more than the principal derives from it.
    OpenAPI shows the scope of each operation that has it.
    """

    def __init__(self, scope: str, *, user: bool = True, thread: bool = False) -> None:
        self.model: SecurityBaseModel = HTTPBearer(bearerFormat="JWT", description="An internal token: see Identity.")
        self.scheme_name = "internalToken"
        self._scope = scope
        self._user = user
        self._thread = thread

    async def principal(self, request: Request) -> Principal:
        """Return the verified principal. Raises a 401 problem, or ScopeMissingError.

        A coroutine, so that FastAPI runs the dependency in the request's own context: what a worker thread binds to the
        logs is lost.
        """
        principal = principal_of(request)
        if self._scope not in principal.scopes or (self._user and principal.user_id is None):
            raise ScopeMissingError()
        if principal.thread_id is not None and not self._thread:
            raise ScopeMissingError()
        return principal

    async def __call__(self, request: Request) -> Any:
        """Return what the route is given: here, the principal."""
        return await self.principal(request)


def require_scope(scope: str, *, user: bool = True, thread: bool = False) -> Any:
    """Return the dependency that lets only principals with `scope` pass and gives the principal."""
    return Security(InternalToken(scope, user=user, thread=thread), scopes=[scope])


class TokenFirstRoute(APIRoute):
    """A route that reads no body of a caller whose token does not open it.

    FastAPI reads and parses a body before it asks a dependency: megabytes, for seconds, of whoever can connect.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        tokens, answer = _tokens_of(self.dependant), self.app
        if self.body_field is None:
            return

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope)
            for token in tokens:
                await token.principal(request)
            await answer(scope, receive, send)

        self.app = app


def _tokens_of(dependant: Dependant) -> list[InternalToken]:
    """Return the tokens that a route or one of its dependencies demands, at any depth."""
    own = [dependant.call] if isinstance(dependant.call, InternalToken) else []
    return own + [token for each in dependant.dependencies for token in _tokens_of(each)]
