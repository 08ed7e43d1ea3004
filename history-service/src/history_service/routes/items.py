"""`/conversations/{id}/items` and `/messages`: two projections of one log."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from contracts.conversations import ItemPut, JsonObject, Message
from contracts.pages import Page
from history_service.dependencies import (
    ConversationId,
    ItemId,
    Reader,
    Repeatable,
    Writer,
)
from history_service.domain import item_of
from history_service.errors import IdempotencyKeyReusedError, ItemConflictError
from history_service.json_route import JsonRoute
from history_service.paging import PageQuery, page_parameters, page_query
from history_service.raw_json import item_response, page_response
from service_kit.openapi import raises

LogPage = Annotated[PageQuery, Depends(page_query)]

router = APIRouter(prefix="/conversations/{conversation_id}", tags=["items"], route_class=JsonRoute)


@router.get(
    "/items",
    summary="List ChatKit items",
    response_model=Page[JsonObject],
    openapi_extra=page_parameters(hidden=True),
)
async def list_items(conversation_id: ConversationId, user: Reader, query: LogPage) -> Response:
    """Return a page of exact ChatKit items by position; with `hidden`, those that a browser never sees too."""
    async with user.transaction() as history:
        page = await history.messages.list_items(
            conversation_id, query.limit, query.after, query.order, hidden=query.hidden
        )
    return page_response(page)


@router.post(
    "/items",
    status_code=201,
    summary="Append a ChatKit item",
    response_model=JsonObject,
    responses=raises(ItemConflictError, IdempotencyKeyReusedError),
)
async def append_item(
    conversation_id: ConversationId, put: ItemPut, user: Writer, create: Repeatable
) -> JsonObject | Response:
    """Append an item. The very same one again changes nothing; another one with its id is refused (409)."""
    item = item_of(put, conversation_id)
    async with user.transaction() as history:

        async def append() -> JsonObject:
            await history.messages.append(conversation_id, item)
            return put.payload

        return await create.once(history, conversation_id, append)


@router.get("/items/{item_id}", summary="Get a ChatKit item", response_model=JsonObject)
async def get_item(conversation_id: ConversationId, item_id: ItemId, user: Reader) -> Response:
    """Return an item exactly as it was stored."""
    async with user.transaction() as history:
        text = await history.messages.get_text(conversation_id, item_id)
    return item_response(text)


@router.put("/items/{item_id}", summary="Append or replace a ChatKit item", responses=raises(ItemConflictError))
async def put_item(conversation_id: ConversationId, item_id: ItemId, put: ItemPut, user: Writer) -> JsonObject:
    """Append an item, or replace the one with its id, which keeps its position."""
    item = item_of(put, conversation_id, item_id)
    async with user.transaction() as history:
        await history.messages.put(conversation_id, item)
    return put.payload


@router.delete("/items/{item_id}", status_code=204, summary="Delete an item")
async def delete_item(conversation_id: ConversationId, item_id: ItemId, user: Writer) -> None:
    """Delete one item; the others keep their positions."""
    async with user.transaction() as history:
        await history.messages.delete(conversation_id, item_id)


@router.get("/messages", summary="List messages with their tool calls", openapi_extra=page_parameters(hidden=False))
async def list_messages(conversation_id: ConversationId, user: Reader, query: LogPage) -> Page[Message]:
    """Return a page of messages by position, without hidden items."""
    async with user.transaction() as history:
        return await history.messages.list_messages(conversation_id, query.limit, query.after, query.order)
