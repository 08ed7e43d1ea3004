"""`/conversations`: create, list, get, put, change, delete."""

from typing import Annotated

from fastapi import APIRouter, Query

from contracts.conversations import Conversation, ConversationCreate, ConversationPatch, ConversationPut
from contracts.ids import new_id
from contracts.pages import Order, Page
from contracts.principal import CONVERSATIONS_READ, CONVERSATIONS_WRITE
from history_service.dependencies import DEFAULT_LIMIT, ConversationId, Conversations, Limit, StorableBody, scope
from history_service.domain import is_valid_id
from service_kit.problems import InvalidRequestError

READ = [scope(CONVERSATIONS_READ)]
WRITE = [scope(CONVERSATIONS_WRITE), StorableBody]

router = APIRouter(prefix="/conversations", tags=["conversations"])


@router.post("", status_code=201, dependencies=WRITE, summary="Create a conversation")
async def create_conversation(new: ConversationCreate, conversations: Conversations) -> Conversation:
    """Create a conversation, under its id or a new one. 409 if the user has one with this id."""
    conversation_id = new.id or new_id("thr")
    if not is_valid_id(conversation_id):
        raise InvalidRequestError("The id is malformed.")
    return await conversations.create(conversation_id, new)


@router.get("", dependencies=READ, summary="List conversations by their last change")
async def list_conversations(
    conversations: Conversations,
    limit: Limit = DEFAULT_LIMIT,
    after: Annotated[str | None, Query(max_length=160)] = None,
    order: Order = "desc",
) -> Page[Conversation]:
    """Return a page; `after` is the `after` of the page before, or the id of a conversation."""
    return await conversations.list(limit, after, order)


@router.get("/{conversation_id}", dependencies=READ, summary="Get a conversation")
async def get_conversation(conversation_id: ConversationId, conversations: Conversations) -> Conversation:
    """Return a conversation without its messages."""
    return await conversations.get(conversation_id)


@router.put("/{conversation_id}", dependencies=WRITE, summary="Create or replace a conversation")
async def put_conversation(
    conversation_id: ConversationId, put: ConversationPut, conversations: Conversations
) -> Conversation:
    """Store the whole of a ChatKit thread's metadata under its id."""
    if put.id != conversation_id:
        raise InvalidRequestError("The conversation's id is not the one it was sent under.")
    return await conversations.put(put)


@router.patch("/{conversation_id}", dependencies=WRITE, summary="Change a conversation")
async def patch_conversation(
    conversation_id: ConversationId, patch: ConversationPatch, conversations: Conversations
) -> Conversation:
    """Change title, status or metadata; what is left out stays."""
    return await conversations.patch(conversation_id, patch)


@router.delete("/{conversation_id}", status_code=204, dependencies=WRITE, summary="Delete a conversation")
async def delete_conversation(conversation_id: ConversationId, conversations: Conversations) -> None:
    """Delete a conversation with its messages and runs."""
    await conversations.delete(conversation_id)
