"""`/conversations/{id}/items` and `/messages`: two projections of one log."""

from fastapi import APIRouter

from contracts.conversations import ItemPut, JsonObject, Message
from contracts.pages import Order, Page
from contracts.principal import CONVERSATIONS_READ, CONVERSATIONS_WRITE
from history_service.dependencies import (
    DEFAULT_LIMIT,
    AfterId,
    ConversationId,
    ItemId,
    Limit,
    Messages,
    StorableBody,
    scope,
)
from history_service.domain import item_of

READ = [scope(CONVERSATIONS_READ)]
WRITE = [scope(CONVERSATIONS_WRITE), StorableBody]

router = APIRouter(prefix="/conversations/{conversation_id}", tags=["items"])


@router.get("/items", dependencies=READ, summary="List ChatKit items")
async def list_items(
    conversation_id: ConversationId,
    messages: Messages,
    limit: Limit = DEFAULT_LIMIT,
    after: AfterId = None,
    order: Order = "asc",
    hidden: bool = False,
) -> Page[JsonObject]:
    """Return a page of exact ChatKit items by position; with `hidden`, those that a browser never sees too."""
    return await messages.list_items(conversation_id, limit, after, order, hidden=hidden)


@router.get("/items/{item_id}", dependencies=READ, summary="Get a ChatKit item")
async def get_item(conversation_id: ConversationId, item_id: ItemId, messages: Messages) -> JsonObject:
    """Return an item exactly as it was stored."""
    return await messages.get(conversation_id, item_id)


@router.put("/items/{item_id}", dependencies=WRITE, summary="Append or replace a ChatKit item")
async def put_item(conversation_id: ConversationId, item_id: ItemId, put: ItemPut, messages: Messages) -> JsonObject:
    """Append an item, or replace the one with its id, which keeps its position."""
    await messages.put(conversation_id, item_of(put, conversation_id, item_id))
    return put.payload


@router.delete("/items/{item_id}", status_code=204, dependencies=WRITE, summary="Delete an item")
async def delete_item(conversation_id: ConversationId, item_id: ItemId, messages: Messages) -> None:
    """Delete one item; the others keep their positions."""
    await messages.delete(conversation_id, item_id)


@router.get("/messages", dependencies=READ, summary="List messages with their tool calls")
async def list_messages(
    conversation_id: ConversationId,
    messages: Messages,
    limit: Limit = DEFAULT_LIMIT,
    after: AfterId = None,
    order: Order = "asc",
) -> Page[Message]:
    """Return a page of messages by position, without hidden items."""
    return await messages.list_messages(conversation_id, limit, after, order)
