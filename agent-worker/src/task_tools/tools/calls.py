"""A tool call on its way from MCP to the user's tasks and back: identity, key, and the shape of the answer."""

import json
from collections.abc import Mapping
from typing import Any

import structlog
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_REQUEST, CallToolResult, TextContent

from contracts.principal import TASKS, Principal
from contracts.tasks import IDEMPOTENCY_META_KEY, TOKEN_META_KEY
from service_kit.database_problems import is_unavailable
from service_kit.internal_tokens import InternalTokenError, TokenVerifier
from service_kit.principal import ScopeMissingError, TokenExpiredError, TokenInvalidError, TokenMissingError
from service_kit.problems import ProblemError, ServiceUnavailableError
from task_tools.errors import CallKeyForeignError, RunTokenNeededError
from task_tools.services.tool_calls import Action, ToolCall, ToolCalls
from task_tools.storage.calls import CallResult

log = structlog.get_logger(__name__)

ToolContext = Context[Any, Any]


def _refusal(problem: type[ProblemError], code: int = INVALID_REQUEST) -> MCPError:
    """Return a protocol error: it is for the program that calls, and nothing that a model could put right."""
    return MCPError(code, problem.detail, {"code": problem.code, "status": problem.status})


def _to_tool_result(result: CallResult) -> CallToolResult:
    structured = None if result.is_error else json.loads(result.text)
    return CallToolResult(
        content=[TextContent(type="text", text=result.text)],
        structured_content=structured,
        is_error=result.is_error,
    )


class ToolCaller:
    """Carries out calls for the users whose tokens come with them.

    The token is read from each call's own `_meta`: a connection serves many users, and none of its headers counts.
    """

    def __init__(self, verifier: TokenVerifier, calls: ToolCalls) -> None:
        self._verifier = verifier
        self._calls = calls

    def check(self, context: ToolContext) -> Principal:
        """Return the run's user, for whom the call acts. Raises a protocol error without a run token that is good now.

        A token for no run is refused: it is another service's, for the REST face.
        """
        token = _meta(context).get(TOKEN_META_KEY)
        if not isinstance(token, str) or not token:
            raise _refusal(TokenMissingError)
        try:
            principal = self._verifier.verify(token)
        except InternalTokenError as error:
            log.warning("tool_call_refused", reason=str(error))
            raise _refusal(TokenExpiredError if error.expired else TokenInvalidError) from error
        if TASKS not in principal.scopes or principal.user_id is None:
            raise _refusal(ScopeMissingError)
        if principal.run_id is None:
            raise _refusal(RunTokenNeededError)
        structlog.contextvars.bind_contextvars(principal=principal.user_id, run_id=principal.run_id)
        return principal

    async def read(self, context: ToolContext, action: Action) -> CallToolResult:
        """Carry out a call that changes nothing."""
        return await self._run(ToolCall("", {}, self.check(context).user_id or "", None), action)

    async def act(self, context: ToolContext, tool: str, arguments: dict[str, Any], action: Action) -> CallToolResult:
        """Carry out a call that changes something: once for each idempotency key, which is one of the token's run."""
        principal, key = self.check(context), _meta(context).get(IDEMPOTENCY_META_KEY)
        if key is not None and not str(key).startswith(f"{principal.run_id}:"):
            log.warning("tool_call_refused", reason="key of another run")
            raise _refusal(CallKeyForeignError)
        call = ToolCall(tool, arguments, principal.user_id or "", None if key is None else str(key))
        return await self._run(call, action)

    async def _run(self, call: ToolCall, action: Action) -> CallToolResult:
        try:
            return _to_tool_result(await self._calls.run(call, action))
        except Exception as error:
            if is_unavailable(error):
                log.warning("database_unavailable", error=type(error).__name__)
                raise _refusal(ServiceUnavailableError, INTERNAL_ERROR) from error
            raise


def _meta(context: ToolContext) -> Mapping[str, Any]:
    return context.request_context.meta or {}
