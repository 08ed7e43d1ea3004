"""`/v1/conversations`: OpenAI's Conversations API, for the `openai` client and the Agents SDK's sessions."""

from fastapi import APIRouter
from starlette.responses import Response

from contracts.conversations import ConversationCreate, ConversationPatch
from contracts.ids import new_id
from history_service.dependencies import ConversationId, Reader, Repeatable, Writer
from history_service.errors import IdempotencyKeyReusedError
from history_service.json_route import JsonRoute
from history_service.openai_models import (
    OpenAIConversation,
    OpenAIConversationCreate,
    OpenAIConversationDeleted,
    OpenAIConversationUpdate,
    openai_conversation,
)
from history_service.openai_projection.accepting import accepted_items
from history_service.services.openai_items import OpenAIItemService
from service_kit.openapi import raises

router = APIRouter(prefix="/v1/conversations", tags=["openai"], route_class=JsonRoute)


@router.post(
    "",
    summary="Create a conversation with its first items",
    response_model=OpenAIConversation,
    responses=raises(IdempotencyKeyReusedError),
)
async def create_openai_conversation(
    new: OpenAIConversationCreate, user: Writer, create: Repeatable
) -> OpenAIConversation | Response:
    """Create a conversation, which is a ChatKit thread as well, with up to 20 items."""
    conversation_id, items = new_id("conv"), accepted_items(new.items or [])
    row = ConversationCreate(metadata=dict(new.metadata or {}))
    async with user.transaction() as history:

        async def make() -> OpenAIConversation:
            created = await history.conversations.create(conversation_id, row)
            if items:
                await OpenAIItemService(history).create(conversation_id, items)
            return openai_conversation(created)

        return await create.once(history, conversation_id, make, status=200)


@router.get("/{conversation_id}", summary="Retrieve a conversation")
async def retrieve_openai_conversation(conversation_id: ConversationId, user: Reader) -> OpenAIConversation:
    """Return a conversation without its items, whoever made it."""
    async with user.transaction() as history:
        return openai_conversation(await history.conversations.get(conversation_id))


@router.post("/{conversation_id}", summary="Update a conversation's metadata")
async def update_openai_conversation(
    conversation_id: ConversationId, update: OpenAIConversationUpdate, user: Writer
) -> OpenAIConversation:
    """Replace the metadata."""
    patch = ConversationPatch(metadata=dict(update.metadata or {}))
    async with user.transaction() as history:
        return openai_conversation(await history.conversations.patch(conversation_id, patch))


@router.delete("/{conversation_id}", summary="Delete a conversation with its items")
async def delete_openai_conversation(conversation_id: ConversationId, user: Writer) -> OpenAIConversationDeleted:
    """Delete a conversation with its items and runs. (OpenAI keeps the items; here nothing stays behind.)"""
    async with user.transaction() as history:
        await history.conversations.delete(conversation_id)
    return OpenAIConversationDeleted(id=conversation_id)
