"""Search over the titles and messages of one user."""

from collections.abc import Mapping

from asyncpg import Record
from sqlalchemy import text

from contracts.conversations import Conversation
from contracts.pages import Page
from contracts.search import SearchHit
from history_service import search_results as results
from history_service.domain import unstorable
from history_service.search_results import SearchPlace, search_cursor, snippet_of
from history_service.storage.conversations import COLUMNS
from service_kit.database import Transaction
from service_kit.problems import InvalidRequestError
from service_kit.statements import Statement

PART_LENGTH = 240
PART_STEP = 200
"""A snippet is one of the parts of this length that begin every so many characters: words across an end are whole in
the next."""

_ASK = Statement(text("SELECT CAST(history.search_query(CAST(:words AS text)) AS text)"))
_ASKED = "coalesce(CAST(CAST(:query AS text) AS tsquery), history.search_query(CAST(:words AS text)))"

# Titles need no index of their own: every append changes the conversation's row, so it would grow with each message.
# They are found among the user's conversations.
_FIND = """
    WITH asked AS MATERIALIZED (SELECT {asked} AS query),
    hits AS (
        SELECT found.conversation_id, found.message_id, found.rank, found.written_at
        FROM asked, history.search_messages(asked.query, CAST(:candidates AS integer)) AS found
        UNION ALL
        (SELECT titled.id, NULL, ts_rank(titled.search, asked.query, 1), titled.created_at
         FROM asked, history.conversations AS titled
         WHERE titled.user_id = :user_id AND titled.search @@ asked.query AND numnode(asked.query) > 0
         ORDER BY titled.updated_at DESC, titled.id DESC LIMIT CAST(:candidates AS integer))
    ),
    best AS (
        SELECT DISTINCT ON (conversation_id) conversation_id, message_id, rank, written_at FROM hits
        ORDER BY conversation_id, rank DESC, written_at DESC, message_id
    )
    SELECT conversation_id, message_id, rank, written_at FROM best {after}
    ORDER BY rank DESC, written_at DESC, conversation_id DESC LIMIT :rows
"""
_AFTER = """
    WHERE (rank, written_at, conversation_id)
        < (CAST(:rank AS real), CAST(:written_at AS timestamptz), CAST(:conversation_id AS text))
"""
_FIRST, _NEXT = [Statement(text(_FIND.format(asked=_ASKED, after=after))) for after in ("", _AFTER)]

_CONVERSATION = ", ".join(f"conversation.{column.name}" for column in COLUMNS)
# Without OFFSET 0, a text of 50,000 characters would be disguised anew for each of its 250 parts: for seconds.
_READ = Statement(
    text(
        f"""
        WITH asked AS MATERIALIZED (
            SELECT {_ASKED} AS query,
                CASE length(to_tsvector('pg_catalog.english', CAST(:words AS text)))
                    WHEN 0 THEN CAST('pg_catalog.simple' AS regconfig)
                    ELSE CAST('pg_catalog.english' AS regconfig)
                END AS config
        )
        SELECT {_CONVERSATION}, hit.number, best.start > 1 AS cut_before,
            best.start + {PART_LENGTH} <= length(safe.text) AS cut_after,
            ts_headline(asked.config, best.part, asked.query, CAST(:marks AS text)) AS part
        FROM asked
        CROSS JOIN unnest(CAST(:conversation_ids AS text[]), CAST(:message_ids AS text[]))
            WITH ORDINALITY AS hit(conversation_id, message_id, number)
        JOIN history.conversations AS conversation
            ON conversation.id = hit.conversation_id AND conversation.user_id = :user_id
        LEFT JOIN history.messages AS message
            ON message.conversation_id = hit.conversation_id AND message.id = hit.message_id
            AND message.user_id = :user_id
        CROSS JOIN LATERAL (
            SELECT translate(left(coalesce(message.content, conversation.title, ''), 50000),
                CAST(:disguise_from AS text), CAST(:disguise_to AS text)) AS text
            OFFSET 0
        ) AS safe
        CROSS JOIN LATERAL (
            SELECT start, substr(safe.text, start, {PART_LENGTH}) AS part
            FROM generate_series(1, greatest(length(safe.text) - {PART_LENGTH - PART_STEP}, 1), {PART_STEP}) AS start
            ORDER BY ts_rank(to_tsvector(asked.config, substr(safe.text, start, {PART_LENGTH})), asked.query) DESC,
                start
            LIMIT 1
        ) AS best
        ORDER BY hit.number
        """  # noqa: S608 - names and numbers of this file
    )
)
_HIGHLIGHT = {
    "marks": f'HighlightAll=true, StartSel="{results.MARK_START}", StopSel="{results.MARK_STOP}"',
    "disguise_from": results.DISGUISE_FROM,
    "disguise_to": results.DISGUISE_TO,
}


class SearchStore:
    """Search within one transaction that acts as the user."""

    def __init__(self, transaction: Transaction, user_id: str) -> None:
        self._transaction = transaction
        self._user_id = user_id

    async def find(self, words: str, limit: int, after: str | None, candidates: int) -> Page[SearchHit]:
        """Return a page of conversations by rank, each with what fits best in it: a message, or its title.

        Only the newest `candidates` messages that match, and as many titles, are ranked.
        Raises InvalidCursorError, and InvalidRequestError for a text that Postgres cannot read.
        """
        reason = unstorable(words)
        if reason is not None:
            raise InvalidRequestError(reason)
        query = None if words.isascii() else results.any_form_of(await self._transaction.value(_ASK, words=words))
        asked = {"words": words, "query": query, "user_id": self._user_id}
        limits = {"candidates": candidates, "rows": limit + 1}
        if after is None:
            rows = await self._transaction.rows(_FIRST, **asked, **limits)
        else:
            rows = await self._transaction.rows(_NEXT, **asked, **limits, **vars(search_cursor(after)))
        page = rows[:limit]
        last = str(_place(page[-1])) if page else None
        return Page(data=await self._read(asked, page), has_more=len(rows) > limit, after=last)

    async def _read(self, asked: Mapping[str, str | None], page: list[Record]) -> list[SearchHit]:
        if not page:
            return []
        places = {name: [row[name[:-1]] for row in page] for name in ("conversation_ids", "message_ids")}
        texts = await self._transaction.rows(_READ, **asked, **places, **_HIGHLIGHT)
        # Not as many as there are places, if a conversation has been deleted since.
        return [_hit(page[int(row["number"]) - 1], row) for row in texts]


def _place(row: Record) -> SearchPlace:
    return SearchPlace(row["rank"], row["written_at"], row["conversation_id"])


def _hit(place: Record, row: Record) -> SearchHit:
    conversation = Conversation.model_validate({name: row[name] for name in Conversation.model_fields})
    snippet = snippet_of(row["part"], cut_before=row["cut_before"], cut_after=row["cut_after"])
    return SearchHit(conversation=conversation, message_id=place["message_id"], snippet=snippet, rank=place["rank"])
