"""Executes one claimed run: from the claim to its end, or to the moment that it is somebody else's."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from enum import Enum, auto
from typing import Any, TypeVar

import structlog
from agents import Model
from mcp.types import CallToolResult, TextContent
from redis.asyncio import Redis
from structlog.contextvars import bind_contextvars

from agent_worker import events
from agent_worker.agent import run_agent
from agent_worker.context import title_of, to_input, unfinished_calls
from agent_worker.failures import DEADLINE, failure_of
from agent_worker.lease import Lease
from agent_worker.models.recorded import RecordedModel
from agent_worker.recorder import Recorder
from agent_worker.run_log import RunLog, unfinished_items
from agent_worker.settings import Settings
from agent_worker.tools.ledgered import LedgeredTools
from agent_worker.tools.pool import ToolPool, ToolsUnreachableError
from contracts.conversations import ItemPut, ToolCall
from contracts.runs import Claim, RunError, RunEvent, RunFinish, RunItemsPut, RunUsage, TerminalStatus
from contracts.tasks import IDEMPOTENCY_META_KEY, TOKEN_META_KEY
from history_client.errors import HistoryError, HistoryUnavailableError, LeaseLostError
from history_client.worker import WorkerHistoryClient

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

RETRY_SECONDS = 0.25


class Stop(Enum):
    """Why a run's execution was stopped from outside."""

    LOST = auto()
    """The lease is gone, or a newer attempt writes: say nothing more."""

    CANCELLED = auto()
    """The user wants it to end."""

    RELEASED = auto()
    """This worker shuts down: another one may go on."""

    BROKEN = auto()
    """A tool call could not be recorded; the model must not hear of it as if the tool had failed."""


class StoppedError(Exception):
    """The execution must not go on; `stop` says why."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop
        super().__init__(stop.name)


class Execution:
    """One attempt at one run. Create it right after the claim, `run()` it once."""

    def __init__(
        self,
        claim: Claim,
        *,
        sent_at: float,
        history: WorkerHistoryClient,
        redis: Redis,
        tools: ToolPool,
        model: Model,
        settings: Settings,
    ) -> None:
        self._claim = claim
        self._run = claim.run
        self._history = history
        self._redis = redis
        self._pool = tools
        self._model = model
        self._settings = settings
        self._lost: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        self._broken_by: Exception | None = None
        self._asked: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        self._lease = Lease(
            claim,
            history,
            seconds=settings.run_lease_seconds,
            sent_at=sent_at,
            on_lost=lambda: _resolve(self._lost, Stop.LOST),
            on_cancel=self.cancel,
        )
        self._log = RunLog(
            redis,
            claim.run.id,
            claim.run.attempt,
            flush_seconds=settings.relay_flush_ms / 1000,
            ttl_seconds=settings.run_log_seconds,
            on_fenced=lambda: _resolve(self._lost, Stop.LOST),
        )
        self._recorder = Recorder(claim.run.conversation_id, self._log, self._store, self._execute_call)

    @property
    def run_id(self) -> str:
        """The run that is being executed."""
        return self._run.id

    def cancel(self) -> None:
        """End the run as cancelled: its user wants that."""
        _resolve(self._asked, Stop.CANCELLED)

    def release(self) -> None:
        """Ask the execution to give the run back to the queue."""
        _resolve(self._asked, Stop.RELEASED)

    async def run(self) -> None:
        """Execute the run to its end. What happens to it is in its row and its log; nothing is raised."""
        bind_contextvars(
            run_id=self._run.id,
            conversation_id=self._run.conversation_id,
            principal=self._run.user_id,
            attempt=self._run.attempt,
        )
        async with AsyncExitStack() as stack:
            for companion in (self._lease.keep(), self._log.write_forever()):
                stack.push_async_callback(_cancel, asyncio.create_task(companion))
            try:
                await self._run_to_an_end()
            except (StoppedError, HistoryError) as error:
                # The lease expires or is released; the next attempt goes on from what is stored.
                log.warning("run_given_up", reason=str(error))
                return
            log.info("run_ended")
            await self._log.drain(self._settings.event_delivery_seconds)
            await self._log.expire(self._settings.run_log_after_end_seconds)

    async def _run_to_an_end(self) -> None:
        deadline = asyncio.timeout(self._settings.run_timeout_seconds)
        try:
            async with deadline:
                usage = await self._unless_stopped(self._work(), self._lost, self._asked)
        except StoppedError as stopped:
            await self._end_stopped(stopped)
        except Exception as error:
            await self._end("failed", error=DEADLINE if deadline.expired() else _told(error))
        else:
            await self._end("completed", usage=usage)

    async def _end_stopped(self, stopped: StoppedError) -> None:
        match stopped.stop:
            case Stop.CANCELLED:
                await self._end("cancelled")
            case Stop.BROKEN if self._broken_by is not None:
                await self._end("failed", error=_told(self._broken_by))
            case Stop.RELEASED:
                await self._history.release_run(self._run.id, self._run.attempt)
                raise stopped
            case _:
                raise stopped

    async def _work(self) -> RunUsage:
        """Do what is left of the run: withdraw a dead attempt's text, finish its tool calls, let the model go on."""
        self._log.append_run_event(self._event("run.in_progress"))
        if self._run.attempt > 1:
            stored = {message.id for message in self._claim.context}
            for item_id in await unfinished_items(self._redis, self._run.id):
                if item_id not in stored:
                    self._log.append(events.item_removed(item_id))
        self._log.append(events.progress("Thinking…"))
        self._recorder.tools = {
            tool.name: bool(tool.annotations and tool.annotations.read_only_hint) for tool in await self._pool.tools()
        }
        finished = {
            call.id: await self._recorder.resume_call(message.id, call)
            for message, call in unfinished_calls(self._claim.context, self._run.id)
        }
        return await run_agent(
            RecordedModel(self._model, self._recorder),
            LedgeredTools(self._pool, self._call_tool),
            to_input(self._claim.context, finished),
            max_turns=self._settings.run_max_turns,
        )

    async def _end(
        self, status: TerminalStatus, *, usage: RunUsage | None = None, error: RunError | None = None
    ) -> None:
        """Store the run's end with its last items, then tell the readers."""
        conversation = self._claim.conversation
        title = None if conversation.title else title_of(self._claim.context)
        finish = RunFinish(
            attempt=self._run.attempt,
            status=status,
            items=self._recorder.last_items(),
            usage=usage,
            error=error,
            title=title,
        )
        await self._until_answered(lambda: self._history.finish_run(self._run.id, finish, token=self._lease.token))
        self._recorder.publish_last_items()
        if title:
            self._log.append(events.thread_updated(conversation, title))
        if error:
            self._log.append(events.error(error))
        self._log.append_run_event(self._event(f"run.{status}", error))

    async def _store(self, items: list[ItemPut]) -> None:
        put = RunItemsPut(attempt=self._run.attempt, items=items)
        await self._until_answered(lambda: self._history.put_run_items(self._run.id, put, token=self._lease.token))

    async def _call_tool(self, call_id: str) -> CallToolResult:
        """Execute a recorded call for the SDK, which would tell the model of any exception: stop the run instead."""
        try:
            return await self._recorder.run_call(call_id)
        except Exception as error:
            self._broken_by = error
            _resolve(self._asked, Stop.BROKEN)
            raise

    async def _execute_call(self, call: ToolCall) -> ToolCall:
        """Have the tool server act, once: the key makes a repeated call give the stored result."""
        self._log.append(events.progress(f"{events.tool_title(call.name)}…"))
        meta = {TOKEN_META_KEY: self._lease.token, IDEMPOTENCY_META_KEY: f"{self._run.id}:{call.id}"}
        try:
            result = await self._pool.call(call.name, call.arguments, meta)
        except ToolsUnreachableError:
            output, failed = "The tool cannot be reached; whether the call had an effect is not known.", True
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
            return await self._unless_stopped(asking(), self._lost)
        except (LeaseLostError, TimeoutError) as error:
            _resolve(self._lost, Stop.LOST)
            raise StoppedError(Stop.LOST) from error

    async def _unless_stopped(self, work: Coroutine[Any, Any, Answer], *stops: "asyncio.Future[Stop]") -> Answer:
        """Await the work, or cancel it and raise StoppedError as soon as one of `stops` is resolved."""
        task = asyncio.create_task(work)
        try:
            await asyncio.wait({task, *stops}, return_when=asyncio.FIRST_COMPLETED)
            stop = next((stop.result() for stop in stops if stop.done()), None)
            if stop is not None and not task.done():
                raise StoppedError(stop)
            return await task
        finally:
            await _cancel(task)

    def _event(self, kind: Any, error: RunError | None = None) -> RunEvent:
        return RunEvent(type=kind, run_id=self._run.id, attempt=self._run.attempt, error=error)


def _resolve(future: "asyncio.Future[Stop]", stop: Stop) -> None:
    if not future.done():
        future.set_result(stop)


async def _cancel(task: "asyncio.Task[Any]") -> None:
    """Cancel a task and wait for its end; what it raises then is of no interest any more."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


def _told(error: BaseException) -> RunError:
    """Log why a run failed, and return what its user is told."""
    failure = failure_of(error)
    unexpected = error if failure.code == "internal_error" else None
    log.warning("run_failed", code=failure.code, error=type(error).__name__, exc_info=unexpected)
    return failure


def _text_of(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))
