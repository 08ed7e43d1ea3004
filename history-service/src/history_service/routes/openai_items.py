"""`/v1/conversations/{id}/items`: the items of OpenAI's Conversations API."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from contracts.conversations import JsonObject
from contracts.pages import Order
from history_service.dependencies import DEFAULT_LIMIT, ConversationId, Limit, Reader, Repeatable, Writer
from history_service.errors import IdempotencyKeyReusedError, ItemConflictError
from history_service.json_route import JsonRoute
from history_service.openai_models import (
    Include,
    OpenAIConversation,
    OpenAIItemList,
    OpenAIItemsCreate,
    openai_conversation,
    openai_item_list,
)
from history_service.openai_projection.accepting import accepted_items
from history_service.openai_projection.ids import ITEM_ID_PATTERN
from history_service.services.openai_items import OpenAIItemService
from service_kit.openapi import raises

OpenAIItemId = Annotated[str, Path(pattern=ITEM_ID_PATTERN)]
AfterItemId = Annotated[str | None, Query(pattern=ITEM_ID_PATTERN)]


def check_include(
    include: Annotated[list[Include] | None, Query()] = None,
    include_brackets: Annotated[list[Include] | None, Query(alias="include[]")] = None,
) -> None:
    """Accept what OpenAI's clients may ask to be included, in both ways that they write lists."""


Includes = Depends(check_include)

router = APIRouter(
    prefix="/v1/conversations/{conversation_id}/items",
    tags=["openai"],
    route_class=JsonRoute,
    dependencies=[Includes],
)


@router.post(
    "",
    summary="Append items",
    response_model=OpenAIItemList,
    responses=raises(ItemConflictError, IdempotencyKeyReusedError),
)
async def create_openai_items(
    conversation_id: ConversationId, new: OpenAIItemsCreate, user: Writer, create: Repeatable
) -> OpenAIItemList | Response:
    """Append 1 to 20 items, all or none. The very same item under its id again changes nothing."""
    items = accepted_items(new.items)
    async with user.transaction() as history:

        async def append() -> OpenAIItemList:
            return openai_item_list(await OpenAIItemService(history).create(conversation_id, items))

        return await create.once(history, conversation_id, append, status=200)


@router.get("", summary="List items")
async def list_openai_items(
    conversation_id: ConversationId,
    user: Reader,
    limit: Limit = DEFAULT_LIMIT,
    after: AfterItemId = None,
    order: Order = "desc",
) -> OpenAIItemList:
    """Return a page of items, newest first unless asked otherwise; `after` is the id of the last one seen."""
    async with user.transaction() as history:
        items, has_more = await OpenAIItemService(history).page(conversation_id, limit, after, order)
    return openai_item_list(items, has_more=has_more)


@router.get("/{item_id}", summary="Retrieve an item")
async def retrieve_openai_item(conversation_id: ConversationId, item_id: OpenAIItemId, user: Reader) -> JsonObject:
    """Return an item exactly as it came, or as ChatKit's item reads."""
    async with user.transaction() as history:
        return await OpenAIItemService(history).get(conversation_id, item_id)


@router.delete("/{item_id}", summary="Delete an item")
async def delete_openai_item(
    conversation_id: ConversationId, item_id: OpenAIItemId, user: Writer
) -> OpenAIConversation:
    """Delete an item and return its conversation. A tool call that ChatKit shows takes its result along."""
    async with user.transaction() as history:
        return openai_conversation(await OpenAIItemService(history).delete(conversation_id, item_id))
