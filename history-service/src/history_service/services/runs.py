"""Runs from the user's side: made with their message, written by the attempt that holds them, ended."""

import structlog

from contracts.conversations import ItemPut
from contracts.runs import TERMINAL_STATUSES, Run, RunCreate, RunCreated, RunFinish, RunItemsPut
from history_service.domain import RunLimits, RunTurn, item_of
from history_service.errors import AttemptStaleError, RunConflictError, RunFinishedError
from history_service.services.endings import settle
from history_service.storage.user import UserTransaction

log = structlog.get_logger(__name__)


class RunService:
    """Makes, feeds and ends the runs of one user, within one transaction."""

    def __init__(self, history: UserTransaction) -> None:
        self._history = history
        self._conversations = history.conversations
        self._messages = history.messages
        self._runs = history.runs

    async def create(self, conversation_id: str, new: RunCreate, limits: RunLimits) -> RunCreated:
        """Store the message and queue its run; for a new conversation, store that too; for a retry, make room for it.

        A known run id changes nothing and returns what was stored. A call of a client's tool is no new message: it
        takes the place of the pending one. The conversation stays locked meanwhile, so that runs are numbered in the
        order of their messages. Raises RunRefusedError if there are too many runs already, ItemConflictError if the
        call has another output already, and the absence of the item that shall be answered.
        """
        item = item_of(ItemPut(payload=new.item), conversation_id) if new.item is not None else None
        if new.retry_after is not None:
            await self._conversations.lock_runs(conversation_id)
        is_new = new.conversation is not None and await self._conversations.ensure(new.conversation) is not None
        position = 0 if is_new else await self._conversations.lock(conversation_id)
        is_output = item is not None and item.kind == "client_tool_call"
        if item is not None and is_output:
            await self._messages.answer_call(conversation_id, item)
        known = await self._runs.find_or_refuse(new.id, limits)
        if known is not None:
            if known.conversation_id != conversation_id:
                raise RunConflictError()
            return RunCreated(run=known, item=await self._messages.find(conversation_id, item.id) if item else None)
        if new.retry_after is not None:
            await self._messages.delete_after(conversation_id, new.retry_after)
        if item is None or is_output:
            await self._conversations.touch(conversation_id)
            run = await self._runs.insert(new.id, conversation_id, position)
        else:
            run = await self._messages.append_with_run(conversation_id, item, new.id)
        log.info("run_created", conversation=conversation_id, run=run.id)
        return RunCreated(run=run, item=new.item)

    async def put_items(self, run_id: str, put: RunItemsPut) -> None:
        """Store items of an attempt, all or nothing. Raises AttemptStaleError unless it holds the run."""
        held = await self._runs.hold(run_id, put.attempt)
        if held is None:
            await self._runs.get(run_id)
            raise AttemptStaleError()
        await self._store(*held, put.items)

    async def finish(self, run_id: str, finish: RunFinish) -> Run:
        """Store the last items and end the run. Repeating it with the same attempt and status changes nothing.

        Raises AttemptStaleError for another attempt and for a run that ended without its worker, whose last items
        were not stored; RunFinishedError if this attempt has ended it in another way.
        """
        held = await self._runs.hold(run_id, finish.attempt)
        if held is None:
            run = await self._runs.get(run_id)
            is_over = run.attempt == finish.attempt and run.status in TERMINAL_STATUSES
            if not is_over or not await self._runs.is_ended_by_worker(run_id):
                raise AttemptStaleError()
            if run.status != finish.status:
                raise RunFinishedError()
            return run
        conversation_id, turn = held
        title = finish.title or None
        is_changed = await self._store(conversation_id, turn, finish.items, title)
        run = await self._runs.finish(run_id, finish)
        if not is_changed:
            await self._conversations.touch(conversation_id, title)
        log.info("run_finished", conversation=conversation_id, run=run_id, attempt=run.attempt, status=run.status)
        return run

    async def cancel(self, run_id: str) -> Run:
        """Ask the run to end; one that has ended stays as it is."""
        cancelled = await self._runs.cancel(run_id)
        if cancelled is None:
            return await self._runs.get(run_id)
        run = cancelled.run
        if run.status in TERMINAL_STATUSES:
            await settle(self._history, cancelled)
        log.info("run_cancel_requested", run=run_id, status=run.status)
        return run

    async def _store(self, conversation_id: str, turn: RunTurn, items: list[ItemPut], title: str | None = None) -> bool:
        """Put the items; returns whether one was appended, which has changed and named the conversation."""
        appended = [
            await self._messages.put(conversation_id, item_of(item, conversation_id), turn, title) for item in items
        ]
        return any(appended)
