"""A call with an idempotency key acts once, whatever happens around it."""

import asyncio
from collections.abc import AsyncGenerator

import httpx
import pytest

from launcher.sql import connected
from service_kit.database import open_database
from task_tools.services.task_list import TaskList
from task_tools.services.tool_calls import ToolCall, ToolCalls
from task_tools.settings import Settings
from tests.integration.task_tools.conftest import Issuers
from tests.integration.task_tools.mcp_client import ToolUser, connect
from tests.support.servers import eventually

KEY = "run_1:call_1"


@pytest.fixture
async def tools(base_url: str) -> AsyncGenerator[ToolUser]:
    async with connect(base_url) as user:
        yield user


@pytest.fixture
def token(issuers: Issuers) -> str:
    return issuers.run_token("ann")


async def _titles(ann: httpx.AsyncClient) -> list[str]:
    return [task["title"] for task in (await ann.get("/tasks")).json()["data"]]


async def test_a_repeated_call_gets_the_same_bytes_and_acts_no_more(
    tools: ToolUser, token: str, ann: httpx.AsyncClient
) -> None:
    first = await tools.call(token, "add_task", KEY, title="Buy milk")
    second = await tools.call(token, "add_task", KEY, title="Buy milk")
    assert second == first
    assert await _titles(ann) == ["Buy milk"]


async def test_a_repeated_deletion_gets_its_first_answer(tools: ToolUser, token: str) -> None:
    await tools.call(token, "add_task", "run_1:0", title="gone")
    first = await tools.call(token, "delete_task", KEY, task="gone")
    assert await tools.call(token, "delete_task", KEY, task="gone") == first
    assert (await tools.call(token, "delete_task", "run_1:2", task="gone")).is_error


async def test_an_error_is_an_answer_too(tools: ToolUser, token: str) -> None:
    first = await tools.call(token, "complete_task", KEY, task="later")
    await tools.call(token, "add_task", "run_1:1", title="later")
    assert first.is_error
    assert await tools.call(token, "complete_task", KEY, task="later") == first


async def test_the_key_of_another_call_is_an_error(tools: ToolUser, token: str, ann: httpx.AsyncClient) -> None:
    await tools.call(token, "add_task", KEY, title="one")
    for tool, arguments in (("add_task", {"title": "two"}), ("delete_task", {"task": "one"})):
        answer = await tools.call(token, tool, KEY, **arguments)
        assert answer.is_error
        assert "another tool call" in answer.text
    assert await _titles(ann) == ["one"]


async def test_keys_are_a_users_own(tools: ToolUser, issuers: Issuers, token: str, bob: httpx.AsyncClient) -> None:
    await tools.call(token, "add_task", KEY, title="of ann")
    theirs = await tools.call(issuers.run_token("bob"), "add_task", KEY, title="of bob")
    assert theirs.task["title"] == "of bob"
    assert await _titles(bob) == ["of bob"]


@pytest.mark.parametrize("key", [f"run_1:{end}" for end in ("x" * 301, "a\nb", "a\x00b")])
async def test_a_key_that_is_none_is_an_error(tools: ToolUser, token: str, ann: httpx.AsyncClient, key: str) -> None:
    answer = await tools.call(token, "add_task", key, title="x")
    assert answer.is_error
    assert await _titles(ann) == []


async def test_concurrent_duplicates_have_one_effect(base_url: str, token: str, ann: httpx.AsyncClient) -> None:
    async with connect(base_url) as one, connect(base_url) as two, connect(base_url) as three:
        answers = await asyncio.gather(
            *(user.call(token, "add_task", KEY, title="only one") for user in (one, two, three) for _ in range(5))
        )
    assert len({answer.text for answer in answers}) == 1
    assert await _titles(ann) == ["only one"]


async def test_a_duplicate_waits_for_the_first_and_acts_if_that_one_fails(
    tools: ToolUser, token: str, ann: httpx.AsyncClient, admin_database_url: str
) -> None:
    """The first call is held open by hand, as if its server had stopped in the middle, and then given up."""
    async with connected(admin_database_url) as first:
        await first.execute("BEGIN")
        await first.execute(
            "INSERT INTO tasks.tool_calls (user_id, key, tool, arguments_digest, is_error)"
            " VALUES ('ann', 'run_1:call_1', 'add_task', '', false)"
        )
        second = asyncio.create_task(tools.call(token, "add_task", KEY, title="late"))
        async with connected(admin_database_url) as observer:

            async def is_waiting() -> bool:
                return bool(await observer.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

            await eventually(is_waiting, what="the duplicate waits")
        assert not second.done()
        await first.execute("ROLLBACK")
    assert (await second).task["title"] == "late"
    assert await _titles(ann) == ["late"]


async def test_the_same_arguments_to_another_tool_are_another_call(settings: Settings) -> None:
    async def answer(_tasks: TaskList) -> dict[str, object]:
        return {"done": True}

    async with open_database(settings) as database:
        calls = ToolCalls(database)
        assert not (await calls.run(ToolCall("one", {}, "ann", KEY), answer)).is_error
        assert not (await calls.run(ToolCall("one", {}, "ann", KEY), answer)).is_error
        assert (await calls.run(ToolCall("two", {}, "ann", KEY), answer)).is_error


async def test_nothing_is_answered_before_it_is_stored(
    tools: ToolUser, token: str, ann: httpx.AsyncClient, admin_database_url: str
) -> None:
    """A trigger that fails when the transaction commits: whoever answers earlier has promised too much."""
    async with connected(admin_database_url) as connection:
        await connection.execute(
            "CREATE FUNCTION tasks.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$"
        )
        await connection.execute(
            "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON tasks.tasks DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION tasks.refuse()"
        )
        posted = await ann.post("/tasks", json={"title": "promised"})
        called = await tools.call(token, "add_task", KEY, title="promised")
        await connection.execute("DROP TRIGGER refuse ON tasks.tasks")
    assert (posted.status_code, posted.json()["code"]) == (500, "internal_error")
    assert called.is_error
    assert "refused" not in posted.text + called.text
    assert await _titles(ann) == []
    assert (await tools.call(token, "add_task", KEY, title="promised")).task["title"] == "promised"
