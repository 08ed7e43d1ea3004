"""`/conversations`: create, list, get, put, change, delete."""

from fastapi import APIRouter
from starlette.responses import Response

from contracts.conversations import Conversation, ConversationCreate, ConversationPatch, ConversationPut
from contracts.ids import new_id
from contracts.pages import Order, Page
from history_service.dependencies import DEFAULT_LIMIT, After, ConversationId, Limit, Reader, Repeatable, Writer
from history_service.domain import is_valid_id
from history_service.errors import ConversationConflictError, ConversationForbiddenError, IdempotencyKeyReusedError
from history_service.json_route import JsonRoute
from service_kit.openapi import raises
from service_kit.problems import InvalidRequestError

router = APIRouter(prefix="/conversations", tags=["conversations"], route_class=JsonRoute)


@router.post(
    "",
    status_code=201,
    summary="Create a conversation",
    response_model=Conversation,
    responses=raises(ConversationConflictError, ConversationForbiddenError, IdempotencyKeyReusedError),
)
async def create_conversation(new: ConversationCreate, user: Writer, create: Repeatable) -> Conversation | Response:
    """Create a conversation, under its id or a new one. 409 if the user has one with this id."""
    conversation_id = new.id or new_id("thr")
    if not is_valid_id(conversation_id):
        raise InvalidRequestError("The id is malformed.")
    async with user.transaction() as history:
        return await create.once(history, conversation_id, lambda: history.conversations.create(conversation_id, new))


@router.get("", summary="List conversations by their last change")
async def list_conversations(
    user: Reader,
    limit: Limit = DEFAULT_LIMIT,
    after: After = None,
    order: Order = "desc",
) -> Page[Conversation]:
    """Return a page; `after` is the `after` of the page before, or the id of a conversation."""
    async with user.transaction() as history:
        return await history.conversations.list(limit, after, order)


@router.get("/{conversation_id}", summary="Get a conversation")
async def get_conversation(conversation_id: ConversationId, user: Reader) -> Conversation:
    """Return a conversation without its messages."""
    async with user.transaction() as history:
        return await history.conversations.get(conversation_id)


@router.put("/{conversation_id}", summary="Create or replace a conversation")
async def put_conversation(conversation_id: ConversationId, put: ConversationPut, user: Writer) -> Conversation:
    """Store the whole of a ChatKit thread's metadata under its id."""
    if put.id != conversation_id:
        raise InvalidRequestError("The conversation's id is not the one it was sent under.")
    async with user.transaction() as history:
        return await history.conversations.put(put)


@router.patch("/{conversation_id}", summary="Change a conversation")
async def patch_conversation(conversation_id: ConversationId, patch: ConversationPatch, user: Writer) -> Conversation:
    """Change title, status or metadata; what is left out stays."""
    async with user.transaction() as history:
        return await history.conversations.patch(conversation_id, patch)


@router.delete("/{conversation_id}", status_code=204, summary="Delete a conversation")
async def delete_conversation(conversation_id: ConversationId, user: Writer) -> None:
    """Delete a conversation with its messages and runs."""
    async with user.transaction() as history:
        await history.conversations.delete(conversation_id)
