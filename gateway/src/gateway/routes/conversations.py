"""Conversations and their messages."""

from fastapi import Depends
from starlette.responses import Response

from contracts.conversations import Conversation, ConversationCreate, ConversationPatch, Message
from contracts.pages import Page
from contracts.search import SearchHit
from gateway.dependencies import CurrentCaller
from gateway.forwarding.targets import CONVERSATION_READ, CONVERSATION_WRITE
from gateway.routes.documentation import ObjectId, create_router, json_body, page_query, problems, search_query

router = create_router("conversations")


@router.get(
    "/conversations",
    summary="List conversations",
    description="The last changed one comes first.",
    response_model=Page[Conversation],
    responses=problems(422),
    dependencies=[Depends(page_query)],
)
def list_conversations(caller: CurrentCaller) -> Response:
    """Forward to the history-service."""
    return caller.forward(CONVERSATION_READ, "/conversations")


@router.post(
    "/conversations",
    status_code=201,
    summary="Create a conversation",
    response_model=Conversation,
    responses=problems(403, 409, 413, 422),
    openapi_extra=json_body(ConversationCreate),
)
def create_conversation(caller: CurrentCaller) -> Response:
    """Forward to the history-service."""
    return caller.forward(CONVERSATION_WRITE, "/conversations")


# Before the routes of one conversation, whose path would fit too.
@router.get(
    "/conversations/search",
    summary="Search conversations by title and text",
    description=(
        "The best hit comes first, each conversation once. `snippet` is HTML: escaped text with `<mark>…</mark>` "
        "around what was found."
    ),
    response_model=Page[SearchHit],
    responses=problems(422),
    dependencies=[Depends(search_query)],
)
def search_conversations(caller: CurrentCaller) -> Response:
    """Forward to the history-service."""
    return caller.forward(CONVERSATION_READ, "/conversations/search")


@router.get(
    "/conversations/{conversation_id:id}",
    summary="Get a conversation",
    response_model=Conversation,
    responses=problems(403, 404),
)
def get_conversation(caller: CurrentCaller, conversation_id: ObjectId) -> Response:
    """Forward to the history-service."""
    return caller.forward(CONVERSATION_READ, f"/conversations/{conversation_id}")


@router.patch(
    "/conversations/{conversation_id:id}",
    summary="Change a conversation",
    response_model=Conversation,
    responses=problems(403, 404, 413, 422),
    openapi_extra=json_body(ConversationPatch),
)
def update_conversation(caller: CurrentCaller, conversation_id: ObjectId) -> Response:
    """Forward to the history-service."""
    return caller.forward(CONVERSATION_WRITE, f"/conversations/{conversation_id}")


@router.delete(
    "/conversations/{conversation_id:id}",
    status_code=204,
    summary="Delete a conversation",
    response_model=None,
    responses=problems(403, 404),
)
def delete_conversation(caller: CurrentCaller, conversation_id: ObjectId) -> Response:
    """Forward to the history-service."""
    return caller.forward(CONVERSATION_WRITE, f"/conversations/{conversation_id}")


@router.get(
    "/conversations/{conversation_id:id}/messages",
    summary="List a conversation's messages",
    description="With their tool calls, in the order of the conversation.",
    response_model=Page[Message],
    responses=problems(403, 404, 422),
    dependencies=[Depends(page_query)],
)
def list_messages(caller: CurrentCaller, conversation_id: ObjectId) -> Response:
    """Forward to the history-service."""
    return caller.forward(CONVERSATION_READ, f"/conversations/{conversation_id}/messages")
