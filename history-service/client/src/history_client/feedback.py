"""What the user thinks of items."""

from collections.abc import Sequence

from pydantic import TypeAdapter

from contracts import principal
from contracts.feedback import Feedback, FeedbackKind, FeedbackPut
from contracts.pages import DEFAULT_PAGE_LIMIT, Order, Page
from history_client.calls import UserCalls, page_query, path_of

_FEEDBACK = TypeAdapter(Page[Feedback])


class FeedbackCalls(UserCalls):
    """The user's opinions."""

    async def put_feedback(self, conversation_id: str, item_ids: Sequence[str], kind: FeedbackKind) -> None:
        """Store one opinion of all these items; of none, if one is unknown (HistoryNotFoundError)."""
        body = FeedbackPut(item_ids=list(item_ids), kind=kind).model_dump_json()
        path = path_of("conversations", conversation_id, "feedback")
        await self._send("PUT", path, principal.CONVERSATIONS_WRITE, body)

    async def list_feedback(
        self,
        conversation_id: str,
        *,
        limit: int = DEFAULT_PAGE_LIMIT,
        after: str | None = None,
        order: Order = "asc",
    ) -> Page[Feedback]:
        """Return a page in the order of the items; `after` is the id of the last item seen."""
        path = path_of("conversations", conversation_id, "feedback")
        response = await self._send("GET", path, principal.CONVERSATIONS_READ, query=page_query(limit, after, order))
        return _FEEDBACK.validate_json(response.content)
