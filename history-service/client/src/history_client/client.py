"""The history-service as a user's side sees it: conversations, items, messages and runs.

    async with open_service(settings.history_url) as service:
        history = HistoryClient(service, TokenSigner("chat-service", key))
        mine = history.as_user(user_id, request_id=request_id)
        conversation = await mine.get_conversation(conversation_id)

Every method raises a `HistoryError` (see `errors`): 403 and 404 as `HistoryForbiddenError`, `HistoryNotFoundError`.
"""

from uuid import uuid4

from pydantic import TypeAdapter

from contracts import principal
from contracts.conversations import (
    Conversation,
    ConversationCreate,
    ConversationPatch,
    ConversationPut,
    ItemPut,
    JsonObject,
    Message,
    MessageStatus,
    ToolCall,
)
from contracts.pages import DEFAULT_PAGE_LIMIT, Order, Page
from contracts.runs import Run, RunCreate, RunCreated, RunStanding, RunStandings, RunStandingsAsked
from history_client.attachments import AttachmentCalls
from history_client.calls import UserCalls, page_query, path_of
from history_client.feedback import FeedbackCalls
from history_client.search import SearchCalls
from history_client.tokens import TokenCache
from history_client.transport import DEFAULT_BACKOFF_SECONDS, DEFAULT_RETRIES, HistoryTransport
from history_client.users import DataCalls
from service_kit.internal_tokens import TokenSigner
from service_kit.service_client import ServiceClient

_CONVERSATIONS = TypeAdapter(Page[Conversation])
_ITEMS = TypeAdapter(Page[JsonObject])
_MESSAGES = TypeAdapter(Page[Message])
_RUNS = TypeAdapter(Page[Run])
_ITEM: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)


class HistoryClient:
    """The history-service for a service that acts for users; tokens are signed as that service.

    `service` is shared and closed by its owner. `retries` and `backoff_seconds` are for failed connections.
    """

    def __init__(
        self,
        service: ServiceClient,
        signer: TokenSigner,
        *,
        retries: int = DEFAULT_RETRIES,
        backoff_seconds: float = DEFAULT_BACKOFF_SECONDS,
    ) -> None:
        self._transport = HistoryTransport(service, retries=retries, backoff_seconds=backoff_seconds)
        self._tokens = TokenCache(signer)

    def as_user(self, user_id: str, *, request_id: str | None = None) -> "UserHistory":
        """Return the history of one user, for one request."""
        return UserHistory(self._transport, self._tokens, user_id, request_id)

    async def run_standings(self, run_ids: list[str]) -> list[RunStanding]:
        """Tell how far runs of anybody have come, at most MAX_STANDINGS; those that are not there are left out.

        For no user: only for those who were let see these runs before.
        """
        response = await self._transport.send(
            "POST",
            path_of("runs", "standings"),
            token=self._tokens.token(principal.RUNS_WATCH),
            body=RunStandingsAsked(ids=run_ids).model_dump_json(),
        )
        return RunStandings.model_validate_json(response.content).runs


class UserHistory(SearchCalls, AttachmentCalls, FeedbackCalls, DataCalls, UserCalls):
    """What one user may see and do; made by `HistoryClient.as_user`, cheap enough for one request."""

    async def create_conversation(
        self, conversation: ConversationCreate, *, idempotency_key: str | None = None
    ) -> Conversation:
        """Create a conversation; an id that is taken gives `HistoryConflictError`.

        Repeating it with the same key gives the conversation of the first time. Without a key, one is made: it covers
        what this client itself repeats.
        """
        response = await self._send(
            "POST",
            path_of("conversations"),
            principal.CONVERSATIONS_WRITE,
            conversation.model_dump_json(),
            idempotency_key=idempotency_key or uuid4().hex,
        )
        return Conversation.model_validate_json(response.content)

    async def get_conversation(self, conversation_id: str) -> Conversation:
        """Return a conversation."""
        response = await self._send("GET", path_of("conversations", conversation_id), principal.CONVERSATIONS_READ)
        return Conversation.model_validate_json(response.content)

    async def put_conversation(self, conversation: ConversationPut) -> Conversation:
        """Create a conversation under its id, or replace its title, status, metadata and image domains."""
        path = path_of("conversations", conversation.id)
        response = await self._send("PUT", path, principal.CONVERSATIONS_WRITE, conversation.model_dump_json())
        return Conversation.model_validate_json(response.content)

    async def patch_conversation(self, conversation_id: str, patch: ConversationPatch) -> Conversation:
        """Change the fields that were set on `patch`; an explicit `title=None` takes the title away."""
        response = await self._send(
            "PATCH",
            path_of("conversations", conversation_id),
            principal.CONVERSATIONS_WRITE,
            patch.model_dump_json(exclude_unset=True),
        )
        return Conversation.model_validate_json(response.content)

    async def delete_conversation(self, conversation_id: str) -> None:
        """Delete a conversation with its messages and runs."""
        await self._send("DELETE", path_of("conversations", conversation_id), principal.CONVERSATIONS_WRITE)

    async def list_conversations(
        self, *, limit: int = DEFAULT_PAGE_LIMIT, after: str | None = None, order: Order = "desc"
    ) -> Page[Conversation]:
        """Return a page by time of the last change. `after` is the `after` of the page before."""
        response = await self._send(
            "GET", path_of("conversations"), principal.CONVERSATIONS_READ, query=page_query(limit, after, order)
        )
        return _CONVERSATIONS.validate_json(response.content)

    async def list_items(
        self,
        conversation_id: str,
        *,
        limit: int = DEFAULT_PAGE_LIMIT,
        after: str | None = None,
        order: Order = "asc",
        include_hidden: bool = False,
    ) -> Page[JsonObject]:
        """Return a page of exact ChatKit items by position. `after` is the id of the last item seen."""
        query = page_query(limit, after, order)
        if include_hidden:
            query["hidden"] = "true"
        path = path_of("conversations", conversation_id, "items")
        response = await self._send("GET", path, principal.CONVERSATIONS_READ, query=query)
        return _ITEMS.validate_json(response.content)

    async def get_item(self, conversation_id: str, item_id: str) -> JsonObject:
        """Return one exact ChatKit item, a hidden one too."""
        path = path_of("conversations", conversation_id, "items", item_id)
        response = await self._send("GET", path, principal.CONVERSATIONS_READ)
        return _ITEM.validate_json(response.content)

    async def append_item(
        self,
        conversation_id: str,
        payload: JsonObject,
        tool_calls: list[ToolCall] | None = None,
        *,
        status: MessageStatus = "completed",
    ) -> JsonObject:
        """Append an item. The very same one again changes nothing; another one with its id: HistoryConflictError."""
        path = path_of("conversations", conversation_id, "items")
        body = ItemPut(payload=payload, tool_calls=tool_calls or [], status=status).model_dump_json()
        response = await self._send("POST", path, principal.CONVERSATIONS_WRITE, body)
        return _ITEM.validate_json(response.content)

    async def put_item(
        self,
        conversation_id: str,
        item_id: str,
        payload: JsonObject,
        tool_calls: list[ToolCall] | None = None,
        *,
        status: MessageStatus = "completed",
    ) -> JsonObject:
        """Append an item, or replace the one with its id; its position stays. Returns what is stored."""
        path = path_of("conversations", conversation_id, "items", item_id)
        body = ItemPut(payload=payload, tool_calls=tool_calls or [], status=status).model_dump_json()
        response = await self._send("PUT", path, principal.CONVERSATIONS_WRITE, body)
        return _ITEM.validate_json(response.content)

    async def delete_item(self, conversation_id: str, item_id: str) -> None:
        """Delete one item."""
        path = path_of("conversations", conversation_id, "items", item_id)
        await self._send("DELETE", path, principal.CONVERSATIONS_WRITE)

    async def list_messages(
        self,
        conversation_id: str,
        *,
        limit: int = DEFAULT_PAGE_LIMIT,
        after: str | None = None,
        order: Order = "asc",
    ) -> Page[Message]:
        """Return a page of messages (the REST projection, without hidden items) by position."""
        path = path_of("conversations", conversation_id, "messages")
        response = await self._send("GET", path, principal.CONVERSATIONS_READ, query=page_query(limit, after, order))
        return _MESSAGES.validate_json(response.content)

    async def create_run(self, conversation_id: str, run: RunCreate) -> RunCreated:
        """Store the user's message, the run and, if given, the conversation, all or nothing.

        Repeating it with the same run id returns what was stored the first time. While there are too many runs, a new
        one gives `HistoryBusyError`: `run_queue_full` for everybody's, `too_many_runs` for the user's.
        """
        path = path_of("conversations", conversation_id, "runs")
        response = await self._send("POST", path, principal.RUNS_CREATE, run.model_dump_json())
        return RunCreated.model_validate_json(response.content)

    async def list_runs(
        self,
        conversation_id: str,
        *,
        active: bool = False,
        limit: int = DEFAULT_PAGE_LIMIT,
        after: str | None = None,
        order: Order = "asc",
    ) -> Page[Run]:
        """Return a page of runs in the order they were made; with `active`, only those that have not ended."""
        query = page_query(limit, after, order)
        if active:
            query["active"] = "true"
        path = path_of("conversations", conversation_id, "runs")
        response = await self._send("GET", path, principal.RUNS_READ, query=query)
        return _RUNS.validate_json(response.content)

    async def get_run(self, run_id: str) -> Run:
        """Return a run."""
        response = await self._send("GET", path_of("runs", run_id), principal.RUNS_READ)
        return Run.model_validate_json(response.content)

    async def cancel_run(self, run_id: str) -> Run:
        """Ask for a run to end. A queued one, or one whose worker is gone, has ended in the answer."""
        response = await self._send("POST", path_of("runs", run_id, "cancel"), principal.RUNS_CANCEL)
        return Run.model_validate_json(response.content)
