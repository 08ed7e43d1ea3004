"""Full-text search over titles and messages, and what the planner should know of owners."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from service_kit.migrations import ensure_role

revision = "0003"
down_revision = "0002"

SCHEMA = "history"
USER = "threadkeep_history_user"
SEARCH = "threadkeep_history_search"
TABLES = ("conversations", "messages")

OWNED = ("conversations", "messages", "runs")
OWN = "user_id = current_setting('app.user_id', true)"

FUNCTIONS = ("search_messages(tsquery, integer)", "search_query(text)", "owner_lexeme(text)", "search_words(text)")

READS_NOTHING = "LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp"
INLINED = "LANGUAGE sql IMMUTABLE PARALLEL SAFE"
SYMBOLS, BLANKS = "<&/_.@-~", "        "


def upgrade() -> None:
    _create_functions()
    title, content = "(title)::text", "(content)::text"
    own = f"array_to_tsvector(ARRAY[{SCHEMA}.owner_lexeme((user_id)::text)])"
    _add_column("conversations", f"setweight({SCHEMA}.search_words({title}), 'A'::\"char\")")
    _add_column("messages", f"({SCHEMA}.search_words({content}) || {own})")
    op.create_index(
        "messages_search",
        "messages",
        ["search"],
        schema=SCHEMA,
        postgresql_using="gin",
        postgresql_where=sa.text("NOT hidden"),
    )
    _tell_the_planner_of_owners()
    _let_login_see_nothing()
    _let_search_see_words()


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {SCHEMA}.{FUNCTIONS[0]}")
    for table in TABLES:
        op.execute(f"DROP POLICY login ON {SCHEMA}.{table}")
    op.execute(f"DROP POLICY search ON {SCHEMA}.messages")
    op.execute(f"REVOKE ALL ON {SCHEMA}.messages FROM {SEARCH}")
    for table in OWNED:
        op.execute(f"ALTER POLICY owner ON {SCHEMA}.{table} USING (current_user = '{USER}' AND {OWN})")
    for table in OWNED[1:]:
        op.execute(f"DROP STATISTICS {SCHEMA}.{table}_owner")
    for table in TABLES:
        op.drop_column(table, "search", schema=SCHEMA)
    for function in FUNCTIONS[1:]:
        op.execute(f"DROP FUNCTION {SCHEMA}.{function}")


def _add_column(table: str, expression: str) -> None:
    op.add_column(table, sa.Column("search", TSVECTOR, sa.Computed(expression, persisted=True)), schema=SCHEMA)


def _create_functions() -> None:
    """What is indexed of a text, what is asked of the index, and the lexeme that stands for an owner.

    Postgres' parser looks for tags, addresses, paths and hyphenated words. For some texts it takes minutes to find
    them ("a_a_a_…", "~/~/~/…", "a-1.a-1.…"), so their symbols are blanks before it looks. Without such compounds
    the vector of 50,000 characters is smaller than a megabyte, which is the most that Postgres stores.
    """
    op.execute(
        f"""
        CREATE FUNCTION {SCHEMA}.search_words(content text) RETURNS tsvector {INLINED}
        RETURN to_tsvector('pg_catalog.simple', translate(left(content, 50000), '{SYMBOLS}', '{BLANKS}'))
            || to_tsvector('pg_catalog.english', translate(left(content, 50000), '{SYMBOLS}', '{BLANKS}'))
        """
    )
    # A digest: it has the same length for every id, and nothing in it that a tsquery would take for syntax.
    op.execute(
        f"""
        CREATE FUNCTION {SCHEMA}.owner_lexeme(user_id text) RETURNS text {INLINED}
        RETURN '@' || to_hex(hashtextextended(user_id, 0))
        """
    )
    # A hyphen excludes a word where it begins one; elsewhere it is the blank that it is in the index. Operators go too:
    # behind a hyphen they would nest negations, of which websearch_to_tsquery bears 32.
    op.execute(
        f"""
        CREATE FUNCTION {SCHEMA}.search_query(words text) RETURNS tsquery {READS_NOTHING}
        BEGIN ATOMIC
            SELECT websearch_to_tsquery('pg_catalog.english', plain) || websearch_to_tsquery('pg_catalog.simple', plain)
            FROM (
                SELECT regexp_replace(translate(words, '</_.@~&!|()', repeat(' ', 11)),
                    '(?<!^|\\s)-|-(?=\\s|[-"]|$)', ' ', 'g') AS plain
            ) AS asked;
        END
        """  # noqa: S608 - names of this file
    )


def _tell_the_planner_of_owners() -> None:
    """Keep it from taking a page of a long conversation for a handful of rows, which it would all read and sort.

    It expects `current_user = …` of one row in two hundred, `(SELECT …)` of every other one, and evaluates that once.
    It multiplies the shares of conversation and owner, unless it knows that one follows from the other.
    """
    for table in OWNED:
        op.execute(f"ALTER POLICY owner ON {SCHEMA}.{table} USING ((SELECT current_user = '{USER}') AND {OWN})")
    for table in OWNED[1:]:
        op.execute(
            f"CREATE STATISTICS {SCHEMA}.{table}_owner (dependencies) ON conversation_id, user_id FROM {SCHEMA}.{table}"
        )


def _let_login_see_nothing() -> None:
    """Whatever roles the login role may inherit: the policy of the search role cannot ask who looks (see there)."""
    for table in TABLES:
        op.execute(f"CREATE POLICY login ON {SCHEMA}.{table} AS RESTRICTIVE TO SESSION_USER USING (false)")


def _let_search_see_words() -> None:
    """A function that tells the current user which of their messages match, best first, one of each conversation.

    `@@` is not leakproof, so below a row-level security predicate it cannot use an index. The function runs as a
    role whose policy has no predicate; it names the owner itself, in the index (`owner_lexeme`) and exactly. Nobody
    can assume that role. It ranks the newest `candidates` of the matches and tells no content. It uses no parallel
    workers: starting them would take longer than all the rest.
    """
    ensure_role(op.get_bind(), SEARCH)
    op.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {SEARCH}")
    readable = "conversation_id, id, user_id, hidden, created_at, search"
    op.execute(f"GRANT SELECT ({readable}) ON {SCHEMA}.messages TO {SEARCH}")
    op.execute(f"CREATE POLICY search ON {SCHEMA}.messages FOR SELECT TO {SEARCH} USING (true)")
    function = f"{SCHEMA}.{FUNCTIONS[0]}"
    op.execute(
        f"""
        CREATE FUNCTION {SCHEMA}.search_messages(words tsquery, candidates integer)
        RETURNS TABLE (conversation_id text, message_id text, rank real, written_at timestamptz)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        SET max_parallel_workers_per_gather = 0
        BEGIN ATOMIC
            SELECT DISTINCT ON (match.conversation_id)
                match.conversation_id, match.id, ts_rank(match.search, words, 1), match.created_at
            FROM (
                SELECT message.conversation_id, message.id, message.search, message.created_at
                FROM {SCHEMA}.messages AS message
                WHERE message.search
                        @@ (CAST({SCHEMA}.owner_lexeme(current_setting('app.user_id', true)) AS tsquery) && words)
                    AND message.user_id = current_setting('app.user_id', true)
                    AND NOT message.hidden
                    AND numnode(words) > 0
                ORDER BY message.created_at DESC, message.id DESC
                LIMIT candidates
            ) AS match
            ORDER BY match.conversation_id, 3 DESC, match.created_at DESC, match.id DESC;
        END
        """  # noqa: S608 - names of this file
    )
    op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {USER}")
    op.execute(f"GRANT CREATE ON SCHEMA {SCHEMA} TO {SEARCH}")
    op.execute(f"ALTER FUNCTION {function} OWNER TO {SEARCH}")
    op.execute(f"REVOKE CREATE ON SCHEMA {SCHEMA} FROM {SEARCH}")
    op.execute(f"REVOKE {SEARCH} FROM SESSION_USER")
