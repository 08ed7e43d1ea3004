"""The main chat endpoint, for clients that do not speak ChatKit: a message becomes a run, its end an answer."""

import asyncio
import hashlib
import hmac
from datetime import UTC, datetime

from chatkit.types import InferenceOptions, UserMessageItem, UserMessageTextContent

from chat_service.errors import IdempotencyKeyReusedError
from chat_service.relay.reader import RunReader
from chat_service.relay.record import messages_of
from chat_service.services.runs import RunNotices
from contracts.chat import ChatAnswer, ChatRequest
from contracts.conversations import ConversationPut
from contracts.ids import IdPrefix, new_id
from contracts.runs import Run
from history_client import UserHistory


class Ids:
    """The ids of what one request creates: new ones or, with an `Idempotency-Key`, the same ones each time.

    They are made with a secret, so that nobody can take them beforehand.
    """

    def __init__(self, secret: bytes, user_id: str, key: str | None) -> None:
        self._secret = secret
        self._source = None if key is None else f"{len(user_id)}:{user_id}{key}"

    def make(self, prefix: IdPrefix) -> str:
        """Return the id of the one thing of its kind."""
        if self._source is None:
            return new_id(prefix)
        digest = hmac.digest(self._secret, f"{prefix}:{self._source}".encode(), hashlib.sha256)
        return f"{prefix}_{digest[:16].hex()}"


async def ask(runs: RunNotices, history: UserHistory, request: ChatRequest, ids: Ids) -> Run:
    """Store the message with its run, or find those that an earlier request with the same key has stored.

    Raises HistoryError, and IdempotencyKeyReusedError if that was another message.
    """
    now = datetime.now(UTC)
    conversation_id = request.conversation_id or ids.make("thr")
    item = UserMessageItem(
        id=ids.make("msg"),
        thread_id=conversation_id,
        created_at=now,
        content=[UserMessageTextContent(text=request.message)],
        inference_options=InferenceOptions(),
    ).model_dump(mode="json", by_alias=True, exclude_none=True)
    new = None if request.conversation_id else ConversationPut(id=conversation_id, created_at=now)
    created = await runs.start(history, conversation_id, run_id=ids.make("run"), item=item, conversation=new)
    if created.item is not None and created.item["content"] != item["content"]:
        raise IdempotencyKeyReusedError()
    return created.run


async def wait_for_end(reader: RunReader, run: Run, seconds: float) -> None:
    """Wait until the run has ended, its reader was stopped, or the time is over."""
    try:
        async with asyncio.timeout(seconds):
            await reader.relay(_Nowhere(), run=run)
    except TimeoutError:
        return


async def answer_of(history: UserHistory, run_id: str) -> ChatAnswer:
    """Return what the run has stored. Raises HistoryError."""
    run = await history.get_run(run_id)
    messages = await messages_of(history, run.conversation_id, run_id)
    texts = [message.content for message in messages if message.kind == "assistant_message"]
    calls = [call for message in messages for call in message.tool_calls]
    return ChatAnswer(conversation_id=run.conversation_id, run=run, answer="\n\n".join(texts), tool_calls=calls)


class _Nowhere:
    """An outlet for a run of which only the end is of interest."""

    def offer(self, chunk: bytes) -> bool:
        return True

    async def drain(self) -> None:
        return
