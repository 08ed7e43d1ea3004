"""`/conversations/search`: by title and text."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from contracts.pages import Page
from contracts.search import QUERY_MAX_LENGTH, SearchHit
from history_service.dependencies import DEFAULT_LIMIT, After, Limit, Reader, resources_of

router = APIRouter(prefix="/conversations", tags=["conversations"])

Words = Annotated[str, Query(min_length=1, max_length=QUERY_MAX_LENGTH, pattern=r"^[^\u0000\uFFFD]*$")]
"""No NUL, and no replacement character, which stands for bytes that were not UTF-8."""


@router.get("/search", summary="Search conversations by title and text")
async def search_conversations(
    request: Request, user: Reader, q: Words, limit: Limit = DEFAULT_LIMIT, after: After = None
) -> Page[SearchHit]:
    """Return a page of conversations by rank, then by time, the best one first; hidden items are never found.

    Words are all to be found in one message or title, in any form (`run` finds `running`); `or` between words, `"…"`
    around a phrase and `-` before a word that shall be missing work as in search engines. What holds no word finds
    nothing. Each conversation comes once, with the message that fits best or its title. The snippet is HTML: escaped
    text with `<mark>…</mark>` around what was found. The first 50,000 characters of a message are searched.
    """
    candidates = resources_of(request).settings.search_candidates
    async with user.transaction() as history:
        return await history.search.find(q, limit, after, candidates)
