"""Search in the database: what an index can hold, what is read, and whose words a user gets to see."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest
from asyncpg import InsufficientPrivilegeError
from sqlalchemy import text

from contracts.search import SearchHit
from history_service.settings import Settings
from history_service.storage.search import SearchStore
from launcher.sql import connected
from service_kit.database import Database, open_database
from service_kit.statements import Statement
from tests.support.plans import explaining

USER_ROLE = "threadkeep_history_user"
SEARCH_ROLE = "threadkeep_history_search"

_NEW_CONVERSATION = Statement(
    text(
        "INSERT INTO history.conversations (id, user_id, status, metadata, created_at, updated_at)"
        " VALUES (:id, :user_id, '{}', '{}', now(), now())"
    )
)
_NEW_MESSAGE = Statement(
    text(
        "INSERT INTO history.messages"
        " (conversation_id, id, user_id, position, turn, role, kind, content, tool_calls, payload, hidden, created_at)"
        " VALUES (:id, 'msg_1', :user_id, 1, 1, 'user', 'user_message', :content, '[]', '{}', false, now())"
    )
)
_SEARCH_MESSAGES = Statement(
    text("SELECT * FROM history.search_messages(history.search_query(CAST(:words AS text)), 100)")
)
_DELETE = Statement(text("DELETE FROM history.conversations WHERE id = :id"))
_VECTOR_BYTES = Statement(text("SELECT max(octet_length(CAST(search AS text))) FROM history.messages"))


@pytest.fixture
async def database(settings: Settings) -> AsyncGenerator[Database]:
    async with open_database(settings) as database:
        yield database


async def store(database: Database, user_id: str, content: str, conversation_id: str = "thr_1") -> None:
    async with database.transaction(USER_ROLE, user_id) as transaction:
        await transaction.execute(_NEW_CONVERSATION, id=conversation_id, user_id=user_id)
        await transaction.execute(_NEW_MESSAGE, id=conversation_id, user_id=user_id, content=content)


async def found(database: Database, user_id: str | None, words: str) -> list[str]:
    """Return the conversations that the function tells of, with nothing around it."""
    async with database.transaction(USER_ROLE, user_id) as transaction:
        return [row["conversation_id"] for row in await transaction.rows(_SEARCH_MESSAGES, words=words)]


@pytest.mark.parametrize(
    "words",
    [
        [chr(0x20000 + number) for number in range(40_000)],
        [chr(0x20000 + number) * 3 for number in range(40_000)],
        [
            f"{chr(0x10400 + number % 40)}{chr(0x10400 + number // 40 % 40)}{chr(0x10400 + number // 1600)}ing"
            for number in range(20_000)
        ],
        [f"{number:x}" for number in range(20_000)],
        [f"Ⱥ{number:x}Ⱥ" for number in range(20_000)],
        ["x" * 2_000 + f"{number}" for number in range(30)],
        ["𐐀" * 700 + f"{number}" for number in range(80)],
    ],
)
async def test_the_vector_of_any_text_fits(database: Database, words: list[str]) -> None:
    """A tsvector holds less than 1 MiB, and an index entry less than 2 KiB; all these texts are stored."""
    await store(database, "alice", " ".join(words))
    async with database.transaction(USER_ROLE, "alice") as transaction:
        assert await transaction.value(_VECTOR_BYTES) < 2**20


async def test_a_long_text_is_read_once_for_its_snippet(database: Database) -> None:
    """And not once for each of the parts that the snippet is chosen of."""
    await store(database, "alice", "needle " + " ".join(f"{number * 7919:x}" for number in range(9_000)))
    async with explaining(database, USER_ROLE, "alice") as explained:
        assert (await SearchStore(explained.transaction, "alice").find("needle", 1, None, 10)).data
        _, read = explained.plans
    pages = read.root["Shared Hit Blocks"] + read.root["Shared Read Blocks"]
    assert pages < 200, "\n".join(read.lines())


async def test_what_is_deleted_while_it_is_found_is_left_out(database: Database) -> None:
    class Meanwhile(SearchStore):
        """Between finding and reading, somebody deletes the first of what was found."""

        async def _read(self, asked: Mapping[str, str | None], page: list[Any]) -> list[SearchHit]:
            async with database.transaction(USER_ROLE, "alice") as other:
                await other.execute(_DELETE, id=page[0]["conversation_id"])
            return await super()._read(asked, page)

    for conversation_id in ("thr_1", "thr_2", "thr_3"):
        await store(database, "alice", f"needle of {conversation_id}", conversation_id)
    async with database.transaction(USER_ROLE, "alice") as transaction:
        page = await Meanwhile(transaction, "alice").find("needle", 3, None, 10)
    assert [(hit.conversation.id, hit.snippet) for hit in page.data] == [
        ("thr_2", "<mark>needle</mark> of thr_2"),
        ("thr_1", "<mark>needle</mark> of thr_1"),
    ]


async def test_the_owners_name_is_never_syntax(database: Database) -> None:
    """Names that would be operators, quotes or nothing in a tsquery find their own and nobody else's."""
    names = [
        "alice",
        "alice' | 'bob",
        "' | !''zz",
        "!alice",
        "a & b",
        "*",
        ":*",
        "\\",
        "é",
        "\U0001f389",
        "@",
        "-",
        "a" * 3000,
    ]
    for name in names:
        await store(database, name, "needle", f"thr_{names.index(name)}")
    for name in [*names, "", "bob", "ALICE", "alic%"]:
        expected = [f"thr_{names.index(name)}"] if name in names else []
        for words in ("needle", "-absent", "needle or -absent"):
            assert await found(database, name, words) == expected
    assert await found(database, None, "needle") == []


async def test_a_forged_owner_is_not_believed(database: Database) -> None:
    """Even a row with the very lexeme of somebody else in it is not theirs."""
    await store(database, "alice", "needle")
    async with database.transaction(USER_ROLE, "bob") as transaction:
        lexeme = await transaction.value(Statement(text("SELECT history.owner_lexeme('bob')")))
    await store(database, "alice", f"needle {lexeme} {lexeme[1:]}", "thr_2")
    assert await found(database, "bob", "needle") == []
    async with database.transaction(USER_ROLE, "alice") as transaction:
        forged = Statement(text("SELECT count(*) FROM history.messages WHERE search @@ CAST(:lexeme AS tsquery)"))
        assert await transaction.value(forged, lexeme=lexeme) == 0, "no text makes an owner's lexeme"


async def test_nothing_is_found_without_words(database: Database) -> None:
    await store(database, "alice", "needle")
    assert await found(database, "alice", "") == []
    assert await found(database, "alice", "!") == []


async def test_only_users_may_search_and_nobody_can_become_the_searcher(database: Database) -> None:
    for role in ("none", "threadkeep_history_dispatch", "threadkeep_history_probe"):
        with pytest.raises(InsufficientPrivilegeError, match="permission denied"):
            async with database.transaction(role, "alice") as transaction:
                await transaction.rows(_SEARCH_MESSAGES, words="needle")
    with pytest.raises(InsufficientPrivilegeError, match="set role"):
        async with database.transaction(SEARCH_ROLE, "alice"):
            pass
    rights = Statement(text(f"SELECT pg_has_role('{SEARCH_ROLE}', 'USAGE') OR pg_has_role('{SEARCH_ROLE}', 'SET')"))
    async with database.transaction("none") as transaction:
        assert await transaction.value(rights) is False


@pytest.mark.parametrize("table", ["conversations", "messages"])
async def test_the_login_role_sees_nothing_even_if_it_inherits_the_searcher(
    database: Database, settings: Settings, table: str
) -> None:
    await store(database, "alice", "needle")
    async with connected(settings.database_url.get_secret_value()) as connection:
        await connection.execute("BEGIN")
        for role in (USER_ROLE, SEARCH_ROLE):
            await connection.execute(f"GRANT {role} TO SESSION_USER WITH INHERIT TRUE")
        await connection.execute("SELECT set_config('app.user_id', 'alice', true)")
        assert await connection.fetchval(f"SELECT count(*) FROM history.{table}") == 0  # noqa: S608 - names of this file
