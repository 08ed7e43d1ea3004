"""Executes one claimed run: from the claim to its end, or to the moment that it is somebody else's."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeVar

import structlog
from mcp.types import CallToolResult, TextContent
from redis.exceptions import RedisError
from structlog.contextvars import bind_contextvars

from agent_worker import events
from agent_worker.agent import run_agent
from agent_worker.context import title_of, to_input, unfinished_calls
from agent_worker.failures import DEADLINE, EmptyAnswerError, told_failure_of
from agent_worker.lease import Lease
from agent_worker.models.recorded import RecordedModel
from agent_worker.recorder import Recorder
from agent_worker.resources import Resources
from agent_worker.run_log import RunLog
from agent_worker.settings import Settings
from agent_worker.stopping import Signal, Stop, StoppedError, cancel, unless_stopped
from agent_worker.takeover import take_over
from agent_worker.tools.pool import ToolCallRefusedError, ToolsUnreachableError
from contracts.conversations import ItemPut, JsonObject, ToolCall
from contracts.redis_keys import RUNS_READY
from contracts.runs import Claim, RunError, RunEvent, RunFinish, RunItemsPut, RunUsage, TerminalStatus
from contracts.tasks import IDEMPOTENCY_META_KEY, TOKEN_META_KEY
from history_client.errors import HistoryError, HistoryUnavailableError, LeaseLostError

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

RETRY_SECONDS = 0.25

THINKING = "Thinking…"
"""What the assistant is doing until there is more to tell."""

TAKE_OVER_SECONDS = 2.0
"""How long a new attempt waits for Redis before it goes on and leaves the correction of its readers for later."""


class Execution:
    """One attempt at one run. Create it right after the claim, `run()` it once."""

    def __init__(
        self,
        claim: Claim,
        resources: Resources,
        settings: Settings,
        *,
        sent_at: float,
        on_model_asked: "Callable[[Execution], None]",
    ) -> None:
        self._claim = claim
        self._run = claim.run
        self._resources = resources
        self._history = resources.history
        self._settings = settings
        self._lost = Signal()
        self._asked = Signal()
        self._broken_by: Exception | None = None
        self._taking_over: asyncio.Task[None] | None = None
        self._log = RunLog(
            resources.log_writer,
            claim.run.id,
            claim.run.attempt,
            ttl_seconds=settings.run_log_seconds,
            ttl_after_end_seconds=settings.run_log_after_end_seconds,
            max_events=settings.run_log_max_events,
            on_fenced=self._lose,
        )
        self._lease = Lease(
            claim,
            resources.history,
            seconds=settings.run_lease_seconds,
            sent_at=sent_at,
            on_renewed=self._log.keep_alive,
            on_lost=self._lose,
            on_cancel=self.cancel,
        )
        self._recorder = Recorder(
            claim.run.conversation_id,
            self._log,
            self._store,
            self._execute_call,
            max_chars=settings.run_response_max_chars,
            on_model_asked=lambda: on_model_asked(self),
        )

    @property
    def run_id(self) -> str:
        """The run that is being executed."""
        return self._run.id

    def cancel(self) -> None:
        """End the run as cancelled: its user wants that."""
        self._asked.ask(Stop.CANCELLED)

    def release(self) -> None:
        """Ask the execution to give the run back to the queue."""
        self._asked.ask(Stop.RELEASED)

    def _lose(self) -> None:
        self._lost.ask(Stop.LOST)

    async def run(self) -> None:
        """Execute the run to its end. What happens to it is in its row and its log; nothing is raised."""
        bind_contextvars(
            run_id=self._run.id,
            conversation_id=self._run.conversation_id,
            principal=self._run.user_id,
            attempt=self._run.attempt,
        )
        async with AsyncExitStack() as stack:
            stack.enter_context(self._log)
            stack.push_async_callback(self._lease.end)
            self._lease.keep()
            try:
                self._log.append_run_event(self._event("run.in_progress"))
                if self._run.attempt > 1:
                    correction = take_over(self._claim, self._log, self._resources.redis, self._recorder.done_calls)
                    self._taking_over = asyncio.create_task(correction)
                    stack.push_async_callback(cancel, self._taking_over)
                else:
                    self._log.append(events.progress(THINKING))
                await self._run_to_an_end()
            except (StoppedError, HistoryError) as error:
                # The lease expires or is released; the next attempt goes on from what is stored.
                log.warning("run_given_up", reason=str(error))
                return
            log.info("run_ended")
            await self._log.drain(self._settings.event_delivery_seconds)

    async def _run_to_an_end(self) -> None:
        left = self._settings.run_timeout_seconds - self._claim.elapsed_seconds
        deadline = asyncio.timeout(max(0.0, left))
        try:
            async with deadline:
                usage = await unless_stopped(self._work(), self._lost, self._asked)
        except StoppedError as stopped:
            await self._end_stopped(stopped)
        except Exception as error:
            await self._end("failed", error=DEADLINE if deadline.expired() else told_failure_of(error))
        else:
            await self._end("completed", usage=usage)

    async def _end_stopped(self, stopped: StoppedError) -> None:
        match stopped.stop:
            case Stop.CANCELLED:
                await self._end("cancelled")
            case Stop.BROKEN if self._broken_by is not None:
                await self._end("failed", error=told_failure_of(self._broken_by))
            case Stop.RELEASED:
                await self._history.release_run(self._run.id, self._run.attempt)
                with suppress(RedisError):
                    await self._resources.redis.rpush(RUNS_READY, self._run.id)
                raise stopped
            case _:
                raise stopped

    async def _work(self) -> RunUsage:
        """Do what is left of the run: correct what a dead attempt showed, finish its calls, let the model go on."""
        if self._taking_over is not None:
            await self._taken_over(TAKE_OVER_SECONDS)
            self._log.append(events.progress(THINKING))
        tools = await self._resources.tools.tools()
        self._recorder.tools = {tool.name: bool(tool.annotations and tool.annotations.read_only_hint) for tool in tools}
        finished = {
            call.id: await self._recorder.resume_call(message.id, call)
            for message, call in unfinished_calls(self._claim.context, self._run.id)
        }
        usage = await run_agent(
            self._resources.agent,
            RecordedModel(self._resources.model, self._recorder),
            self._call_tool,
            to_input(self._claim.context, finished),
            max_turns=self._settings.run_max_turns,
        )
        if not self._recorder.has_answer and all(message.run_id != self._run.id for message in self._claim.context):
            raise EmptyAnswerError
        return usage

    async def _end(
        self, status: TerminalStatus, *, usage: RunUsage | None = None, error: RunError | None = None
    ) -> None:
        """Store the run's end with its last items, then tell the readers."""
        conversation = self._claim.conversation
        title = None if conversation.title else title_of(self._claim.context)
        finish = RunFinish(
            attempt=self._run.attempt,
            status=status,
            items=self._recorder.last_items("completed" if status == "completed" else "incomplete"),
            usage=usage,
            error=error,
            title=title,
        )
        await self._until_answered(lambda: self._history.finish_run(self._run.id, finish, token=self._lease.token))
        await self._taken_over(self._settings.event_delivery_seconds)
        self._recorder.publish_last_items()
        if title:
            self._log.append(events.thread_updated(conversation, title))
        if error:
            self._log.append(events.error(error))
        self._log.append_run_event(self._event(f"run.{status}", error))

    async def _taken_over(self, timeout_seconds: float) -> None:
        """Wait for the readers' correction, within the time: a run goes on without Redis."""
        if self._taking_over is not None:
            await asyncio.wait({self._taking_over}, timeout=timeout_seconds)

    async def _store(self, items: list[ItemPut]) -> None:
        put = RunItemsPut(attempt=self._run.attempt, items=items)
        await self._until_answered(lambda: self._history.put_run_items(self._run.id, put, token=self._lease.token))

    async def _call_tool(self, call_id: str) -> CallToolResult:
        """Execute a recorded call for the SDK, which would tell the model of any exception: stop the run instead."""
        try:
            return await self._recorder.run_call(call_id)
        except Exception as error:
            self._broken_by = error
            self._asked.ask(Stop.BROKEN)
            raise

    async def _execute_call(self, call: ToolCall) -> ToolCall:
        """Have the tool server act, once: the key makes a repeated call give the stored result."""
        self._log.append(events.progress(f"{events.tool_title(call.name)}…"))

        def meta() -> JsonObject:
            return {TOKEN_META_KEY: self._lease.token, IDEMPOTENCY_META_KEY: f"{self._run.id}:{call.id}"}

        try:
            result = await self._resources.tools.call(call.name, call.arguments, meta)
        except ToolsUnreachableError:
            output, failed = "The tool cannot be reached; whether the call had an effect is not known.", True
        except ToolCallRefusedError:
            output, failed = "The tool refused the call; it had no effect.", True
        else:
            output, failed = _text_of(result), bool(result.is_error)
        return call.model_copy(update={"output": output, "status": "failed" if failed else "completed"})

    async def _until_answered(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask the history-service until it answers.

        Raises StoppedError when the lease is lost before that, or when two leases of asking did not help: the lease
        is then left to expire, and the next attempt goes on.
        """

        async def asking() -> Answer:
            async with asyncio.timeout(2 * self._settings.run_lease_seconds):
                while True:
                    try:
                        return await ask()
                    except HistoryUnavailableError:
                        await asyncio.sleep(RETRY_SECONDS)

        try:
            return await unless_stopped(asking(), self._lost)
        except (LeaseLostError, TimeoutError) as error:
            self._lose()
            raise StoppedError(Stop.LOST) from error

    def _event(self, kind: Any, error: RunError | None = None) -> RunEvent:
        return RunEvent(type=kind, run_id=self._run.id, attempt=self._run.attempt, error=error)


def _text_of(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))
