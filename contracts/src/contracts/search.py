"""What a search over a user's conversations finds."""

from pydantic import Field

from contracts.conversations import Conversation, Wire

QUERY_MAX_LENGTH = 200


class SearchHit(Wire):
    """A conversation that was found, by its title (`message_id` is null) or by the message that fits best.

    `snippet` is HTML: a part of that text, escaped, with `<mark>…</mark>` around the words that were found.
    `rank` orders hits of one search and means nothing else.
    """

    conversation: Conversation
    message_id: str | None = None
    snippet: str
    rank: float = Field(ge=0)
