"""The five tools through the Agents SDK's own client."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest
from mcp.shared.exceptions import MCPError

from task_tools.app import create_app
from task_tools.settings import Settings
from tests.integration.task_tools.conftest import Issuers
from tests.integration.task_tools.mcp_client import ToolUser, connect
from tests.support.ports import free_port
from tests.support.servers import RunningProgram, run_process, serve


@pytest.fixture
async def tools(base_url: str) -> AsyncGenerator[ToolUser]:
    async with connect(base_url) as user:
        yield user


@pytest.fixture
def token(issuers: Issuers) -> str:
    return issuers.run_token("ann")


async def test_the_five_tools_are_offered_without_a_user_argument(tools: ToolUser) -> None:
    offered = {tool.name: tool for tool in await tools.connection.list_tools()}
    assert set(offered) == {"add_task", "list_tasks", "update_task", "complete_task", "delete_task"}
    arguments = {name: set(tool.input_schema["properties"]) for name, tool in offered.items()}
    assert arguments == {
        "add_task": {"title", "description"},
        "list_tasks": {"status"},
        "update_task": {"task", "title", "description"},
        "complete_task": {"task", "completed"},
        "delete_task": {"task"},
    }
    assert all(tool.description for tool in offered.values())


async def test_a_task_from_its_title_alone(tools: ToolUser, token: str, ann: httpx.AsyncClient) -> None:
    added = (await tools.call(token, "add_task", "run_1:1", title="Buy milk", description="2 l")).task
    assert (added["title"], added["description"], added["status"]) == ("Buy milk", "2 l", "pending")
    assert (await ann.get(f"/tasks/{added['id']}")).json()["title"] == "Buy milk"

    done = (await tools.call(token, "complete_task", "run_1:2", task="buy  MILK")).task
    assert (done["id"], done["completed"]) == (added["id"], True)
    reopened = (await tools.call(token, "complete_task", "run_1:3", task=added["id"], completed=False)).task
    assert reopened["status"] == "pending"

    renamed = (await tools.call(token, "update_task", "run_1:4", task="Buy milk", title="Buy bread")).task
    assert (renamed["title"], renamed["description"]) == ("Buy bread", "2 l")
    emptied = (await tools.call(token, "update_task", "run_1:5", task="Buy bread", description="")).task
    assert emptied["description"] is None

    deleted = (await tools.call(token, "delete_task", "run_1:6", task="Buy bread")).task
    assert deleted["id"] == added["id"]
    assert (await tools.call(token, "list_tasks")).data == {"tasks": [], "has_more": False}


async def test_text_and_structured_content_say_the_same(tools: ToolUser, token: str) -> None:
    answer = await tools.call(token, "add_task", "run_1:1", title="Käse 🧀")
    assert json.loads(answer.text) == answer.data


async def test_list_tasks_filters_by_status(tools: ToolUser, token: str) -> None:
    await tools.call(token, "add_task", "run_1:1", title="one")
    await tools.call(token, "add_task", "run_1:2", title="two")
    await tools.call(token, "complete_task", "run_1:3", task="one")
    titles = {
        status: [task["title"] for task in (await tools.call(token, "list_tasks", status=status)).data["tasks"]]
        for status in ("all", "pending", "completed")
    }
    assert titles == {"all": ["two", "one"], "pending": ["two"], "completed": ["one"]}


async def test_a_description_that_looks_like_json_stays_text(tools: ToolUser, token: str) -> None:
    added = (await tools.call(token, "add_task", "run_1:1", title="json", description='["a", "b"]')).task
    assert added["description"] == '["a", "b"]'


async def test_facts_come_back_as_errors_for_the_model(tools: ToolUser, token: str) -> None:
    for key, tool, arguments, sentence in (
        ("run_1:1", "add_task", {"title": "   "}, "not empty"),
        ("run_1:2", "add_task", {"title": "x" * 201}, "at most 200"),
        ("run_1:3", "add_task", {"title": "a\x00b"}, "not allowed"),
        ("run_1:4", "complete_task", {"task": "nothing"}, "list_tasks shows"),
        ("run_1:5", "delete_task", {"task": "\x00"}, "list_tasks shows"),
        ("run_1:6", "update_task", {"task": "task_unknown", "title": "x"}, "list_tasks shows"),
    ):
        answer = await tools.call(token, tool, key, **arguments)
        assert answer.is_error
        assert sentence in answer.text
    await tools.call(token, "add_task", "run_1:7", title="real")
    unchanged = await tools.call(token, "update_task", "run_1:8", task="real")
    assert unchanged.is_error
    assert "Nothing to change" in unchanged.text


async def test_an_ambiguous_title_names_the_candidates(tools: ToolUser, token: str) -> None:
    ids = [
        (await tools.call(token, "add_task", f"run_1:{n}", title=title)).task["id"]
        for n, title in enumerate(("Tea", "tea"))
    ]
    answer = await tools.call(token, "delete_task", "run_1:9", task="TEA")
    assert answer.is_error
    assert all(task_id in answer.text for task_id in ids)
    assert len((await tools.call(token, "list_tasks")).data["tasks"]) == 2


async def test_users_never_meet(tools: ToolUser, issuers: Issuers, token: str) -> None:
    mine = (await tools.call(token, "add_task", "run_1:1", title="secret plan")).task
    bob = issuers.run_token("bob", "run_2")
    for tool, arguments in (
        ("update_task", {"title": "taken over"}),
        ("complete_task", {}),
        ("delete_task", {}),
    ):
        for reference in (mine["id"], "secret plan"):
            answer = await tools.call(bob, tool, f"run_2:{tool}:{reference}", task=reference, **arguments)
            assert answer.is_error
            assert "No task has" in answer.text
    assert (await tools.call(bob, "list_tasks")).data["tasks"] == []
    assert (await tools.call(token, "list_tasks")).data["tasks"] == [mine]


async def test_calls_without_a_good_token_are_refused(
    tools: ToolUser, issuers: Issuers, ann: httpx.AsyncClient
) -> None:
    for token, code in (
        (None, "token_missing"),
        ("nonsense", "token_invalid"),
        (issuers.forged_token("ann"), "token_invalid"),
        (issuers.run_token("ann", audience=("history-service",)), "token_invalid"),
        (issuers.run_token("ann", scopes=("runs:items",)), "scope_missing"),
        (issuers.run_token(None), "scope_missing"),
    ):
        for tool, arguments in (("add_task", {"title": "x"}), ("list_tasks", {})):
            with pytest.raises(MCPError) as refusal:
                await tools.call(token, tool, "run_1:1", **arguments)
            assert refusal.value.error.data["code"] == code
    assert (await ann.get("/tasks")).json()["data"] == []


async def test_the_token_of_the_connection_counts_for_nothing(base_url: str, issuers: Issuers) -> None:
    headers = {"Authorization": f"Bearer {issuers.gateway_token('ann')}", "X-User-Id": "ann"}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_tasks"}}
    async with httpx.AsyncClient(base_url=base_url, headers=headers) as client:
        accept = {"accept": "application/json, text/event-stream"}
        answer = (await client.post("/mcp", json=message, headers=accept)).json()
    assert answer["error"]["data"]["code"] == "token_missing"


async def test_forty_calls_of_many_users_over_several_connections(base_url: str, issuers: Issuers) -> None:
    async with connect(base_url) as one, connect(base_url) as two, connect(base_url) as three:
        pool = (one, two, three)

        async def add(number: int) -> None:
            token = issuers.run_token(f"user-{number}", f"run_{number}")
            await pool[number % 3].call(token, "add_task", f"run_{number}:1", title=f"of user {number}")

        await asyncio.gather(*(add(number) for number in range(40)))
        for number in range(40):
            listed = (await one.call(issuers.run_token(f"user-{number}"), "list_tasks")).data["tasks"]
            assert [task["title"] for task in listed] == [f"of user {number}"]


async def test_a_connection_survives_a_restart_of_the_server(
    settings: Settings, database_url: str, issuers: Issuers, token: str, tmp_path: Path
) -> None:
    port = free_port()
    trust = {name: issuer.model_dump(mode="json") for name, issuer in issuers.trust().items()}
    env = {"TOOLS_PORT": str(port), "DATABASE_URL": database_url, "INTERNAL_TRUST": json.dumps(trust)}
    base_url = f"http://127.0.0.1:{port}"

    def program() -> AbstractAsyncContextManager[RunningProgram]:
        return run_process(
            ("python", "-m", "task_tools"), log=tmp_path / "log", env=env, ready_url=f"{base_url}/readyz"
        )

    async with program() as first:
        connection = connect(base_url)
        tools = await connection.__aenter__()
        await tools.call(token, "add_task", "run_1:1", title="before")
        first.process.kill()
        await first.process.wait()
    async with program():
        await tools.call(token, "add_task", "run_1:2", title="after")
        listed = (await tools.call(token, "list_tasks")).data["tasks"]
        await connection.__aexit__(None, None, None)
    assert [task["title"] for task in listed] == ["after", "before"]


async def test_two_instances_share_the_work(settings: Settings, token: str) -> None:
    async with (
        serve(create_app(settings)) as here,
        serve(create_app(settings)) as there,
        connect(here) as one,
        connect(there) as two,
    ):
        added = await one.call(token, "add_task", "run_1:1", title="shared")
        assert (await two.call(token, "add_task", "run_1:1", title="shared")).text == added.text


async def test_foreign_host_headers_are_refused(base_url: str) -> None:
    async with httpx.AsyncClient(base_url=base_url) as client:
        headers = {"host": "rebound.example", "accept": "application/json, text/event-stream"}
        answer = await client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=headers)
    assert answer.status_code == 421
