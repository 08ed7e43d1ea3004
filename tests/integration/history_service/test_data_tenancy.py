"""Row-level security of attachments, feedback and the notes of blobs, and the little that retention may see."""

from collections.abc import AsyncGenerator
from contextlib import suppress

import pytest
from asyncpg import CheckViolationError, ForeignKeyViolationError, InsufficientPrivilegeError
from sqlalchemy import text

from history_client import UserHistory
from history_service.settings import Settings
from history_service.storage.blobs import new_blob_key
from history_service.storage.roles import DISPATCH_ROLE, RETENTION_ROLE, USER_ROLE
from launcher.sql import connected
from service_kit.database import Database, open_database
from service_kit.statements import Statement
from tests.support.attachments import upload
from tests.support.history import assistant_message, conversation_put

TABLES = ("attachments", "feedback", "blob_deletions")
PROBE_ROLE = "threadkeep_history_probe"


@pytest.fixture
async def database(settings: Settings) -> AsyncGenerator[Database]:
    async with open_database(settings) as database:
        yield database


@pytest.fixture
async def conversation_ids(alice: UserHistory, bob: UserHistory, admin_database_url: str) -> dict[str, str]:
    """A row of each table for each of the two users; returns their conversations."""
    ids: dict[str, str] = {}
    for name, user in (("alice", alice), ("bob", bob)):
        ids[name] = (await user.put_conversation(conversation_put())).id
        answer = assistant_message(ids[name], item_id=f"msg_{name}")
        await user.put_item(ids[name], answer["id"], answer)
        await user.put_feedback(ids[name], [answer["id"]], "positive")
        unjudged = assistant_message(ids[name], item_id=f"other_{name}")
        await user.put_item(ids[name], unjudged["id"], unjudged)
        await upload(user, name.encode(), ids[name])
        async with connected(admin_database_url) as connection:
            later = "INSERT INTO history.blob_deletions VALUES ($1, $2, now() + interval '1 day')"
            await connection.execute(later, new_blob_key(name), name)
    return ids


async def execute(database: Database, role: str, user_id: str | None, sql: str) -> int:
    async with database.transaction(role, user_id) as transaction:
        return await transaction.execute(Statement(text(sql)))


@pytest.mark.usefixtures("conversation_ids")
async def test_without_owner_predicate_the_own_rows_alone_are_seen_and_touched(
    database: Database, database_url: str
) -> None:
    for table in TABLES:
        every = f"SELECT FROM history.{table}"
        seen = [await execute(database, USER_ROLE, user_id, every) for user_id in ("alice", "bob", "carol", None)]
        assert seen == [1, 1, 0, 0]
        assert await execute(database, USER_ROLE, "carol", f"DELETE FROM history.{table}") == 0  # noqa: S608
        async with connected(database_url) as connection:
            await connection.execute("SELECT set_config('app.user_id', 'alice', false)")
            assert await connection.fetchval(f"SELECT count(*) FROM history.{table}") == 0  # noqa: S608
            await connection.execute(f"SET ROLE {USER_ROLE}")
            assert await connection.fetchval(f"SELECT count(*) FROM history.{table}") == 1  # noqa: S608


@pytest.mark.usefixtures("conversation_ids")
async def test_a_grant_that_inherits_opens_nothing_to_the_login_role(database_url: str) -> None:
    async with connected(database_url) as connection:
        await connection.execute("BEGIN; SELECT set_config('app.user_id', 'alice', true)")
        for role in (USER_ROLE, RETENTION_ROLE, PROBE_ROLE):
            await connection.execute(f"GRANT {role} TO SESSION_USER WITH INHERIT TRUE")
        for table in (*TABLES, "conversations", "runs"):
            assert await connection.fetchval(f"SELECT count(user_id) FROM history.{table}") == 0  # noqa: S608
        await connection.execute("ROLLBACK")


async def test_nothing_of_ones_own_is_put_into_what_is_foreign(
    database: Database, conversation_ids: dict[str, str]
) -> None:
    foreign = conversation_ids["alice"]
    key = new_blob_key("alice")
    refused: dict[str, type[Exception]] = {
        "UPDATE history.attachments SET conversation_id = '{foreign}'": ForeignKeyViolationError,
        "UPDATE history.feedback SET conversation_id = '{foreign}', item_id = 'other_alice'": ForeignKeyViolationError,
        "INSERT INTO history.feedback VALUES ('{foreign}', 'other_alice', 'bob', 'negative')": ForeignKeyViolationError,
        "UPDATE history.attachments SET user_id = 'alice', blob_key = '{key}'": InsufficientPrivilegeError,
        "UPDATE history.feedback SET user_id = 'alice'": InsufficientPrivilegeError,
        "UPDATE history.attachments SET blob_key = '{key}'": CheckViolationError,
        "INSERT INTO history.blob_deletions VALUES ('{key}', 'bob')": CheckViolationError,
        "INSERT INTO history.blob_deletions VALUES ('{key}', 'alice')": InsufficientPrivilegeError,
        "UPDATE history.blob_deletions SET due_at = now()": InsufficientPrivilegeError,
    }
    for sql, error in refused.items():
        with pytest.raises(error):
            await execute(database, USER_ROLE, "bob", sql.format(foreign=foreign, key=key))


@pytest.mark.usefixtures("conversation_ids")
async def test_retention_finds_but_cannot_read_or_delete(database: Database) -> None:
    seen = "SELECT id, user_id, updated_at FROM history.conversations"
    assert await execute(database, RETENTION_ROLE, None, seen) == 2
    assert await execute(database, RETENTION_ROLE, None, "SELECT key FROM history.blob_deletions") == 2
    for sql in (
        "SELECT title FROM history.conversations",
        "SELECT payload FROM history.attachments",
        "SELECT error FROM history.runs",
        "SELECT FROM history.messages",
        "SELECT FROM history.feedback",
        "DELETE FROM history.conversations",
        "DELETE FROM history.attachments",
        "DELETE FROM history.runs",
        "UPDATE history.conversations SET updated_at = now()",
        "UPDATE history.blob_deletions SET user_id = 'x'",
        "CREATE TABLE history.x (id int)",
    ):
        with pytest.raises(InsufficientPrivilegeError, match="permission denied"):
            await execute(database, RETENTION_ROLE, None, sql)


@pytest.mark.usefixtures("conversation_ids")
async def test_dispatch_and_probe_see_none_of_it(database: Database) -> None:
    for role, table in ((DISPATCH_ROLE, "attachments"), (DISPATCH_ROLE, "feedback"), (PROBE_ROLE, "feedback")):
        with pytest.raises(InsufficientPrivilegeError, match="permission denied"):
            await execute(database, role, None, f"SELECT FROM history.{table}")
    with pytest.raises(InsufficientPrivilegeError, match="permission denied"):
        await execute(database, PROBE_ROLE, None, "SELECT name FROM history.attachments")


@pytest.mark.parametrize("how", ["the row", "its conversation"])
async def test_however_an_attachment_goes_its_blob_is_noted_in_the_same_transaction(
    database: Database, conversation_ids: dict[str, str], admin_database_url: str, how: str
) -> None:
    table = "attachments" if how == "the row" else "conversations"
    async with connected(admin_database_url) as connection:
        key = await connection.fetchval("SELECT blob_key FROM history.attachments WHERE user_id = 'bob'")
        noted = "SELECT user_id FROM history.blob_deletions WHERE key = $1"
        with suppress(ZeroDivisionError):
            async with database.transaction(USER_ROLE, "bob") as transaction:
                await transaction.execute(Statement(text(f"DELETE FROM history.{table}")))  # noqa: S608
                raise ZeroDivisionError
        assert await connection.fetchval(noted, key) is None
        assert await execute(database, USER_ROLE, "bob", f"DELETE FROM history.{table}") == 1  # noqa: S608
        assert await connection.fetchval(noted, key) == "bob"
