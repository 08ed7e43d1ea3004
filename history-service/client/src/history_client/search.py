"""Search."""

from pydantic import TypeAdapter

from contracts import principal
from contracts.pages import DEFAULT_PAGE_LIMIT, Page
from contracts.search import SearchHit
from history_client.calls import UserCalls, path_of

_HITS = TypeAdapter(Page[SearchHit])


class SearchCalls(UserCalls):
    """Search over the user's conversations."""

    async def search_conversations(
        self, words: str, *, limit: int = DEFAULT_PAGE_LIMIT, after: str | None = None
    ) -> Page[SearchHit]:
        """Return a page of conversations whose title or messages have the words, the best one first.

        `words` may use `or`, `"a phrase"` and `-without`. `after` is the `after` of the page before, of the same words.
        """
        query: dict[str, str | int] = {"q": words, "limit": limit}
        if after is not None:
            query["after"] = after
        path = path_of("conversations", "search")
        response = await self._send("GET", path, principal.CONVERSATIONS_READ, query=query)
        return _HITS.validate_json(response.content)
