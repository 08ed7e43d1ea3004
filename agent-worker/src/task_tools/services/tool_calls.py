"""Tool calls: each is one transaction for one user, and acts once however often it is repeated."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog

from service_kit.database import Database
from service_kit.problems import ProblemError
from task_tools.domain import check_call_key, digest_of
from task_tools.errors import CallKeyReusedError
from task_tools.services.task_list import TaskList
from task_tools.storage.calls import CallResult, CallStore
from task_tools.storage.tasks import TaskStore
from task_tools.tables import USER_ROLE

log = structlog.get_logger(__name__)

Action = Callable[[TaskList], Awaitable[dict[str, Any]]]
"""What a tool does with the user's tasks; returns its answer as a JSON object."""


@dataclass(frozen=True)
class ToolCall:
    """A call as the model made it, for a verified user. `key` makes it act once; None for a call that only reads."""

    tool: str
    arguments: dict[str, Any]
    user_id: str
    key: str | None


class ToolCalls:
    """Carries out tool calls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, call: ToolCall, action: Action) -> CallResult:
        """Act and record the answer in one transaction; a call that has acted before gets its answer again.

        Facts that the model should know (an unknown task, an empty title) are answers too, and recorded like others.
        """
        async with self._database.transaction(USER_ROLE, call.user_id) as transaction:
            tasks = TaskList(TaskStore(transaction, call.user_id))
            if call.key is None:
                return await _answer(tasks, action)
            return await self._run_once(CallStore(transaction, call.user_id), tasks, call, action)

    async def _run_once(self, calls: CallStore, tasks: TaskList, call: ToolCall, action: Action) -> CallResult:
        try:
            key = check_call_key(call.key or "")
        except ProblemError as fact:
            return CallResult(fact.detail, is_error=True)
        digest = digest_of(call.arguments)
        if not await calls.reserve(key, call.tool, digest):
            recorded = await calls.get(key)
            if (recorded.tool, recorded.arguments_digest) != (call.tool, digest):
                log.warning("idempotency_key_reused", tool=call.tool, first_tool=recorded.tool)
                return CallResult(CallKeyReusedError.detail, is_error=True)
            log.info("tool_call_replayed", tool=call.tool)
            return recorded.result
        result = await _answer(tasks, action)
        await calls.record(key, result)
        return result


async def _answer(tasks: TaskList, action: Action) -> CallResult:
    try:
        answer = await action(tasks)
    except ProblemError as fact:
        return CallResult(fact.detail, is_error=True)
    return CallResult(json.dumps(answer, ensure_ascii=False, separators=(",", ":")))
