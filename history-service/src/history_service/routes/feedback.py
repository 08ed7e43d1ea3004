"""`/conversations/{id}/feedback`: what the user thinks of items."""

from fastapi import APIRouter

from contracts.feedback import Feedback, FeedbackPut
from contracts.pages import Order, Page
from history_service.dependencies import DEFAULT_LIMIT, AfterId, ConversationId, Limit, Reader, Writer
from history_service.domain import is_valid_id
from history_service.errors import ItemNotFoundError
from history_service.json_route import JsonRoute
from service_kit.openapi import raises
from service_kit.problems import InvalidRequestError

router = APIRouter(prefix="/conversations/{conversation_id}/feedback", tags=["feedback"], route_class=JsonRoute)


@router.put("", status_code=204, summary="Judge items", responses=raises(ItemNotFoundError))
async def put_feedback(conversation_id: ConversationId, put: FeedbackPut, user: Writer) -> None:
    """Store one opinion of all these items, in place of earlier ones; of none, if one of them is unknown."""
    if not all(is_valid_id(item_id) for item_id in put.item_ids):
        raise InvalidRequestError("An item's id is malformed.")
    async with user.transaction() as history:
        await history.feedback.put(conversation_id, put.item_ids, put.kind)


@router.get("", summary="List feedback")
async def list_feedback(
    conversation_id: ConversationId,
    user: Reader,
    limit: Limit = DEFAULT_LIMIT,
    after: AfterId = None,
    order: Order = "asc",
) -> Page[Feedback]:
    """Return a page in the order of the items; `after` is an item's id."""
    async with user.transaction() as history:
        return await history.feedback.list(conversation_id, limit, after, order)
