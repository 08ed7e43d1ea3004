"""Row-level security: what the database itself refuses, whatever the SQL above it says."""

from collections.abc import AsyncGenerator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.ids import new_id
from history_client import UserHistory
from history_service.settings import Settings
from history_service.storage.roles import DISPATCH_ROLE, USER_ROLE
from service_kit.database import create_engine, role_transaction
from tests.support.history import run_create

TABLES = ("conversations", "messages", "runs")
PROBE_ROLE = "threadkeep_history_probe"


@pytest.fixture
async def engine(settings: Settings) -> AsyncGenerator[AsyncEngine]:
    engine = create_engine(settings)
    yield engine
    await engine.dispose()


@pytest.fixture
async def conversation_ids(alice: UserHistory, bob: UserHistory) -> dict[str, str]:
    """One conversation with a message and a run for each of the two users."""
    ids = {"alice": new_id("thr"), "bob": new_id("thr")}
    for name, user in (("alice", alice), ("bob", bob)):
        await user.create_run(ids[name], run_create(ids[name], f"from {name}", new=True))
    return ids


async def owners(engine: AsyncEngine, table: str, role: str, user_id: str | None) -> list[str]:
    async with role_transaction(engine, role, user_id) as connection:
        return list(await connection.scalars(text(f"SELECT user_id FROM history.{table} ORDER BY 1")))  # noqa: S608


@pytest.mark.usefixtures("conversation_ids")
@pytest.mark.parametrize("table", TABLES)
async def test_a_query_without_owner_predicate_sees_the_own_rows_alone(engine: AsyncEngine, table: str) -> None:
    assert await owners(engine, table, USER_ROLE, "alice") == ["alice"]
    assert await owners(engine, table, USER_ROLE, "bob") == ["bob"]
    assert await owners(engine, table, USER_ROLE, "carol") == []


@pytest.mark.usefixtures("conversation_ids")
@pytest.mark.parametrize("table", TABLES)
async def test_without_a_user_nothing_is_seen(engine: AsyncEngine, table: str) -> None:
    assert await owners(engine, table, USER_ROLE, None) == []
    async with engine.begin() as connection:
        await connection.execute(text(f"SET LOCAL ROLE {USER_ROLE}"))
        assert await connection.scalar(text(f"SELECT count(*) FROM history.{table}")) == 0  # noqa: S608


@pytest.mark.usefixtures("conversation_ids")
@pytest.mark.parametrize("table", TABLES)
async def test_the_login_role_itself_sees_nothing(engine: AsyncEngine, table: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("SELECT set_config('app.user_id', 'alice', true)"))
        assert await connection.scalar(text(f"SELECT count(*) FROM history.{table}")) == 0  # noqa: S608


@pytest.mark.usefixtures("conversation_ids")
async def test_the_login_role_sees_nothing_even_if_it_inherits(engine: AsyncEngine) -> None:
    async with engine.connect() as connection, connection.begin() as transaction:
        for role in (USER_ROLE, DISPATCH_ROLE, PROBE_ROLE):
            await connection.execute(text(f"GRANT {role} TO SESSION_USER WITH INHERIT TRUE"))
        await connection.execute(text("SELECT set_config('app.user_id', 'alice', true)"))
        for table in TABLES:
            assert await connection.scalar(text(f"SELECT count(*) FROM history.{table}")) == 0  # noqa: S608
        await transaction.rollback()


@pytest.mark.usefixtures("conversation_ids")
async def test_the_dispatcher_sees_runs_and_nothing_else(engine: AsyncEngine) -> None:
    assert await owners(engine, "runs", DISPATCH_ROLE, None) == ["alice", "bob"]
    for statement in (
        "SELECT id FROM history.conversations",
        "SELECT id FROM history.messages",
        "DELETE FROM history.runs",
        "UPDATE history.runs SET user_id = 'mallory'",
        "UPDATE history.runs SET conversation_id = 'x'",
    ):
        with pytest.raises(DBAPIError, match="permission denied"):
            await execute(engine, DISPATCH_ROLE, None, statement)


async def test_the_probe_sees_ids_alone(engine: AsyncEngine) -> None:
    for statement in (
        "SELECT title FROM history.conversations",
        "SELECT id FROM history.messages",
        "SELECT status FROM history.runs",
        "CREATE TABLE history.x (id int)",
    ):
        with pytest.raises(DBAPIError, match="permission denied"):
            await execute(engine, PROBE_ROLE, None, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE history.messages SET content = 'x'",
        "UPDATE history.conversations SET title = 'x'",
        "UPDATE history.runs SET status = 'failed', finished_at = now()",
        "DELETE FROM history.conversations",
    ],
)
async def test_writes_without_owner_predicate_touch_the_own_rows_alone(
    engine: AsyncEngine, alice: UserHistory, conversation_ids: dict[str, str], statement: str
) -> None:
    before = (await alice.list_messages(conversation_ids["alice"])).data
    assert await execute(engine, USER_ROLE, "bob", statement) == 1
    assert (await alice.list_messages(conversation_ids["alice"])).data == before
    assert (await alice.get_conversation(conversation_ids["alice"])).title is None
    assert [run.status for run in (await alice.list_runs(conversation_ids["alice"])).data] == ["queued"]


async def test_rows_cannot_be_given_to_or_put_into_what_is_foreign(
    engine: AsyncEngine, conversation_ids: dict[str, str]
) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        await execute(engine, USER_ROLE, "bob", "UPDATE history.conversations SET user_id = 'alice'")
    intruder = f"UPDATE history.messages SET position = 99, conversation_id = '{conversation_ids['alice']}'"  # noqa: S608
    with pytest.raises(DBAPIError, match="messages_conversation"):
        await execute(engine, USER_ROLE, "bob", intruder)


async def execute(engine: AsyncEngine, role: str, user_id: str | None, statement: str) -> int:
    async with role_transaction(engine, role, user_id) as connection:
        return (await connection.execute(text(statement))).rowcount


async def test_role_and_user_end_with_the_transaction(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        async with connection.begin():
            await connection.execute(text("SELECT set_config('role', :role, true)"), {"role": USER_ROLE})
            await connection.execute(text("SELECT set_config('app.user_id', 'alice', true)"))
        assert await connection.scalar(text("SELECT current_user = session_user")) is True
        assert await connection.scalar(text("SELECT current_setting('app.user_id', true)")) == ""
