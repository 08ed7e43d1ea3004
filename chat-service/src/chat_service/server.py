"""The ChatKit server: the SDK's protocol over our store, with answers that come from runs and not from here."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from chatkit.actions import Action
from chatkit.server import ChatKitServer, NonStreamingResult, StreamingResult
from chatkit.types import (
    ChatKitReq,
    FeedbackKind,
    SyncCustomActionResponse,
    Thread,
    ThreadAddClientToolOutputParams,
    ThreadItem,
    ThreadMetadata,
    ThreadsAddClientToolOutputReq,
    ThreadStreamEvent,
    UserMessageItem,
    WidgetItem,
    is_streaming_req,
)

from chat_service.context import ChatContext
from chat_service.errors import UnknownActionError
from chat_service.services.runs import RunNotices
from chat_service.services.tool_outputs import output_of
from chat_service.store import HistoryStore, in_utc
from contracts.feedback import MAX_FEEDBACK_ITEMS
from service_kit.problems import InvalidRequestError

RESUME_ACTION = "run.resume"
"""The custom action that streams a conversation's oldest unfinished run from its first event; no payload."""

_NO_EVENTS: tuple[ThreadStreamEvent, ...] = ()


def quiet_sdk_logger() -> None:
    """Leave requests and their errors to our own logs: the SDK logs a refused request with a traceback."""
    logger = logging.getLogger("chatkit")
    logger.handlers.clear()
    logger.setLevel(logging.CRITICAL)


class ThreadkeepServer(ChatKitServer[ChatContext]):
    """Answers ChatKit requests up to the point where a run takes over.

    `respond` and `action` yield nothing: the run that they leave in the context is relayed behind the SDK's events, so
    that the SDK never touches a token.
    """

    def __init__(self, store: HistoryStore, runs: RunNotices) -> None:
        super().__init__(store)
        self._runs = runs

    async def answer(self, request: ChatKitReq, context: ChatContext) -> StreamingResult | NonStreamingResult:
        """Do what the SDK's `process` does for a request that is parsed already.

        `process` builds its parser anew for each request, which costs more than everything else together (8 ms).
        """
        if isinstance(request, ThreadsAddClientToolOutputReq):
            return StreamingResult(self._answer_tool_output(request.params, context))
        if is_streaming_req(request):
            return StreamingResult(self._process_streaming(request, context))
        return NonStreamingResult(await self._process_non_streaming(request, context))

    async def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: ChatContext
    ) -> AsyncIterator[ThreadStreamEvent]:
        """Make sure that a run exists; a user message came with its own."""
        try:
            if context.run is None:
                output = context.tool_output
                created = await self._runs.start(
                    context.history,
                    thread.id,
                    item=output and output.call,
                    run_id=output and output.run_id,
                    retry_after=context.retry_after,
                )
                context.run = created.run
        except Exception as error:
            context.failure = error
        for event in _NO_EVENTS:
            yield event

    async def action(
        self, thread: ThreadMetadata, action: Action[str, Any], sender: WidgetItem | None, context: ChatContext
    ) -> AsyncIterator[ThreadStreamEvent]:
        """Leave the conversation's active run to be followed, for a page that was loaded anew; refuse all else."""
        try:
            if action.type != RESUME_ACTION:
                raise UnknownActionError(f"There is no action {action.type!r}.")
            context.run = await self._runs.oldest_active(context.history, thread.id)
        except Exception as error:
            context.failure = error
        for event in _NO_EVENTS:
            yield event

    async def sync_action(
        self, thread: ThreadMetadata, action: Action[str, Any], sender: WidgetItem | None, context: ChatContext
    ) -> SyncCustomActionResponse:
        """Refuse: what there is streams."""
        raise UnknownActionError(f"There is no action {action.type!r}.")

    async def add_feedback(
        self, thread_id: str, item_ids: list[str], feedback: FeedbackKind, context: ChatContext
    ) -> None:
        """Store what the user thinks of the items: of all of them, or, if one is unknown, of none."""
        if not 1 <= len(item_ids) <= MAX_FEEDBACK_ITEMS:
            raise InvalidRequestError(f"Feedback is for 1 to {MAX_FEEDBACK_ITEMS} items.")
        await context.history.put_feedback(thread_id, item_ids, feedback)

    async def handle_stream_cancelled(
        self, thread: ThreadMetadata, pending_items: list[ThreadItem], context: ChatContext
    ) -> None:
        """Do nothing: a client that leaves changes nothing about its run."""

    async def _answer_tool_output(
        self, params: ThreadAddClientToolOutputParams, context: ChatContext
    ) -> AsyncGenerator[bytes, None]:
        """Do what the SDK does, but so that output and run are stored together, and the request can be repeated."""
        thread = await self.store.load_thread(params.thread_id, context=context)
        context.tool_output = await output_of(context.history, thread.id, params.result)
        async for event in self._process_events(thread, context, lambda: self.respond(thread, None, context)):
            yield b"data: " + self._serialize(event) + b"\n\n"

    def _to_thread_response(self, thread: ThreadMetadata | Thread) -> Thread:
        response = super()._to_thread_response(thread)
        response.created_at = in_utc(response.created_at)
        return response
