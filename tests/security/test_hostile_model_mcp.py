"""Whoever talks to the MCP server without a run's good token is refused, whatever is asked, and nothing stays."""

import json
import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from agents.mcp import MCPServerStreamableHttp
from mcp.shared.exceptions import MCPError
from mcp.types import Tool
from mcp_types.methods import CLIENT_REQUESTS
from pydantic import BaseModel

from contracts.principal import RUNS_ITEMS, TASKS
from contracts.tasks import IDEMPOTENCY_META_KEY, TOKEN_META_KEY
from tests.integration.task_tools.mcp_client import connect
from tests.support.belongings import Belongings, leaks, rows_of_others, store_belongings
from tests.support.operations import Examples
from tests.support.postgres import PostgresServer
from tests.support.product import Keys, Product, migrate, running_product
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

ATTACKER, VICTIM, NOBODY = "user-attacker", "user-victim", "user-nobody"
RUN = "run_attack"
BOTH = ("history-service", "task-tools")
ACCEPT = {"accept": "application/json, text/event-stream"}
WHO = re.compile(r"user.?id|owner|account|tenant|principal|\bsub\b", re.IGNORECASE)
Meta = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """The server, a connection to it, what the victim has, and every row there is."""

    product: Product
    connection: MCPServerStreamableHttp
    tools: list[Tool]
    victim: Belongings
    admin_url: str
    rows: Mapping[str, list[str]]

    def run_token(self, user_id: str | None = ATTACKER, **changes: Any) -> str:
        """Return what a worker has while it holds a run; `changes` are made to it."""
        values: dict[str, Any] = {"audience": BOTH, "scopes": (RUNS_ITEMS, TASKS), "run_id": RUN, **changes}
        return self.product.keys.signer("history-service").sign(user_id=user_id, **values)

    async def call(self, meta: Meta | None, tool: str, **arguments: Any) -> Any:
        """Call a tool over the shared connection."""
        return await self.connection.call_tool(tool, arguments, meta=meta)

    async def post(self, message: Any, **headers: str) -> httpx.Response:
        """Send a message past the client."""
        async with httpx.AsyncClient(base_url=self.product.url("task-tools"), timeout=20) as client:
            return await client.post("/mcp", json=message, headers=ACCEPT | headers)

    async def check_rows(self) -> None:
        """Check that nothing was stored and nothing has changed, for whomever."""
        assert await rows_of_others(self.admin_url, NOBODY) == self.rows


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    postgres: PostgresServer, valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Scene]:
    url = await postgres.create_database(await postgres.template("history-and-tasks", migrate))
    admin_url, blobs = postgres.superuser(url), tmp_path_factory.mktemp("blobs")
    async with running_product(url, await valkey.empty_database(), blobs) as product:
        victim = await store_belongings(product, VICTIM, ended=True)
        async with connect(product.url("task-tools")) as client:
            tools = await client.connection.list_tools()
            rows = await rows_of_others(admin_url, NOBODY)
            yield Scene(product, client.connection, tools, victim, admin_url, rows)
    await postgres.drop_database(url)


def _names_in(schema: Any) -> list[str]:
    """Return the names and texts of a schema, however deep."""
    if isinstance(schema, dict):
        return [text for name, member in schema.items() for text in (name, *_names_in(member))]  # pyright: ignore
    if isinstance(schema, list):
        return [text for member in schema for text in _names_in(member)]  # pyright: ignore
    return [schema] if isinstance(schema, str) else []


async def test_no_tool_has_an_argument_that_could_name_a_user(scene: Scene) -> None:
    assert len(scene.tools) >= 5
    for tool in scene.tools:
        assert [text for text in _names_in(tool.input_schema) if WHO.search(text)] == []
        assert not tool.input_schema.get("additionalProperties")


def _altered(scene: Scene, **claims: int) -> str:
    return scene.product.keys.altered("history-service", scene.run_token(), **claims)


def _expired(scene: Scene) -> str:
    now = int(time.time())
    return _altered(scene, iat=now - 90, exp=now - 30)


TOKENS: Mapping[str, tuple[Callable[[Scene], Any], str]] = {
    "none": (lambda scene: None, "token_missing"),
    "an empty one": (lambda scene: "", "token_missing"),
    "no text": (lambda scene: {"user_id": VICTIM}, "token_missing"),
    "garbage": (lambda scene: "a.b.c", "token_invalid"),
    "a user's name": (lambda scene: VICTIM, "token_invalid"),
    "the victim's public token": (lambda scene: scene.product.keys.public_token(VICTIM), "token_invalid"),
    "the victim's ChatKit session": (lambda scene: scene.victim.client_secret, "token_invalid"),
    "an expired one": (_expired, "token_expired"),
    "one that lives too long": (lambda scene: _altered(scene, exp=int(time.time()) + 3600), "token_invalid"),
    "a forged one": (
        lambda scene: Keys.forger("history-service").sign(BOTH, (RUNS_ITEMS, TASKS), user_id=VICTIM, run_id=RUN),
        "token_invalid",
    ),
    "the worker's own": (
        lambda scene: scene.product.keys.signer("agent-worker").sign("task-tools", (TASKS,), user_id=VICTIM),
        "token_invalid",
    ),
    "for another service": (lambda scene: scene.run_token(audience="history-service"), "token_invalid"),
    "without the scope": (lambda scene: scene.run_token(scopes=(RUNS_ITEMS,)), "scope_missing"),
    "for nobody": (lambda scene: scene.run_token(None), "scope_missing"),
    "for no run": (
        lambda scene: scene.product.keys.signer("gateway").sign("task-tools", (TASKS,), user_id=VICTIM),
        "run_token_needed",
    ),
}


@pytest.mark.parametrize("kind", TOKENS)
async def test_a_call_without_a_runs_good_token_is_refused(scene: Scene, kind: str) -> None:
    make, code = TOKENS[kind]
    meta: Meta = {TOKEN_META_KEY: make(scene), IDEMPOTENCY_META_KEY: f"{RUN}:c"}
    wanted = [(tool.name, Examples({}, {}).of(tool.input_schema)) for tool in scene.tools]
    for name, arguments in [*wanted, ("add_task", {"title": [VICTIM]}), ("no_such_tool", {})]:
        with pytest.raises(MCPError) as refusal:
            await scene.call(meta, name, **arguments)
        assert refusal.value.error.data["code"] == code
        assert VICTIM not in str(refusal.value.error)
    await scene.check_rows()


@pytest.mark.parametrize("key", ["", "c", "run_other:c", f"{RUN}", f"{RUN}x:c", "{victim}:c"])
async def test_an_idempotency_key_of_another_run_is_refused(scene: Scene, key: str) -> None:
    meta = {TOKEN_META_KEY: scene.run_token(), IDEMPOTENCY_META_KEY: key.format(victim=scene.victim.ids["run_id"])}
    for tool in scene.tools:
        if tool.annotations and tool.annotations.read_only_hint:
            continue
        with pytest.raises(MCPError) as refusal:
            await scene.call(meta, tool.name, **Examples({}, {}).of(tool.input_schema))
        assert refusal.value.error.data["code"] == "idempotency_key_foreign"
    await scene.check_rows()


async def test_a_token_in_the_wrong_place_counts_for_nothing(scene: Scene) -> None:
    token = scene.run_token(VICTIM)
    params: Meta = {"name": "list_tasks", "arguments": {}}
    call: Meta = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    meta = {TOKEN_META_KEY: token}
    nested: Meta = {**params, "arguments": {"_meta": meta, **meta, "context": {"request_context": {"meta": meta}}}}
    for message, headers in (
        (call, {"Authorization": f"Bearer {token}"}),
        (call, {"X-User-Id": VICTIM, "Cookie": f"token={token}"}),
        (call, {TOKEN_META_KEY.replace("/", "-"): token}),
        (call, {"Mcp-Session-Id": "0" * 32}),
        ({**call, "_meta": meta}, {}),
        ({**call, "params": nested}, {}),
        ({**call, "params": {**params, "meta": meta}}, {}),
    ):
        answer = await scene.post(message, **headers)
        assert answer.json()["error"]["data"]["code"] == "token_missing", answer.text
    await scene.check_rows()


async def test_a_batch_is_no_message(scene: Scene) -> None:
    params = {"name": "add_task", "arguments": {"title": "x"}, "_meta": {TOKEN_META_KEY: scene.run_token()}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = await scene.post([call, {**call, "id": 2}])
    assert answer.status_code == 400
    await scene.check_rows()


async def test_a_body_without_end_is_not_read(scene: Scene) -> None:
    params = {"name": "add_task", "arguments": {"title": "x" * 5_000_000}, "_meta": {TOKEN_META_KEY: scene.run_token()}}
    answer = await scene.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    assert answer.status_code == 413
    await scene.check_rows()


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_nobody_listens_or_ends_a_session(scene: Scene, method: str) -> None:
    headers = {**ACCEPT, "Mcp-Session-Id": "0" * 32}
    async with (
        httpx.AsyncClient(base_url=scene.product.url("task-tools"), timeout=20) as client,
        client.stream(method, "/mcp", headers=headers) as answer,
    ):
        assert answer.status_code == 405


PARAMS: Meta = {
    "name": "list_tasks",
    "arguments": {},
    "uri": "tasks://all",
    "notifications": {"toolsListChanged": True, "resourceSubscriptions": ["tasks://all"]},
    "protocolVersion": "2025-11-25",
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
}
NAMED = ("name", "uri")
"""Parameters that the newest protocol wants in a header as well."""


def _asked(method: str, version: str, form: type[BaseModel]) -> tuple[Meta, dict[str, str]]:
    """Return a request as the protocol's version wants it, without a token, and its headers."""
    schema = form.model_json_schema()
    params: Meta = Examples(schema.get("$defs", {}), PARAMS).of(schema).get("params") or {}
    name = next((str(params[key]) for key in NAMED if key in params), None)
    headers = {"Mcp-Protocol-Version": version, "Mcp-Method": method} | ({"Mcp-Name": name} if name else {})
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, headers


async def test_who_has_no_token_is_told_of_nobody_and_holds_nothing_open(scene: Scene) -> None:
    """Every request that the protocol knows, in each of its versions: an answer that is one message has an end."""
    understood: set[str] = set()
    async with httpx.AsyncClient(base_url=scene.product.url("task-tools"), timeout=20) as client:
        for (method, version), form in CLIENT_REQUESTS.items():
            message, headers = _asked(method, version, form)
            async with client.stream("POST", "/mcp", json=message, headers=ACCEPT | headers) as answer:
                assert answer.headers["content-type"].startswith("application/json"), f"{method} of {version} stays"
                told = json.loads(await answer.aread())
            assert leaks(answer, scene.victim.secrets) == []
            if "result" in told:
                understood.add(method)
            if method == "tools/call":
                assert told["error"]["data"]["code"] == "token_missing"
    assert understood == {
        *("initialize", "ping", "server/discover"),
        *("tools/list", "prompts/list", "resources/list", "resources/templates/list"),
    }
    await scene.check_rows()


async def test_the_token_alone_says_for_whom(scene: Scene) -> None:
    """The last one: it stores something, for the attacker alone."""
    everybody_else = await rows_of_others(scene.admin_url, ATTACKER)
    meta = {TOKEN_META_KEY: scene.run_token(), IDEMPOTENCY_META_KEY: f"{RUN}:c"}
    named = {"user_id": VICTIM, "owner": VICTIM, "context": {"user_id": VICTIM}, "_meta": {"user_id": VICTIM}}
    added = await scene.call(meta, "add_task", title="x", **named)
    assert json.loads(added.content[0].text)["task"]["title"] == "x"
    for tool in ("update_task", "complete_task", "delete_task"):
        own_key = meta | {IDEMPOTENCY_META_KEY: f"{RUN}:{tool}"}
        answer = await scene.call(own_key, tool, task=scene.victim.ids["task_id"], title="taken", **named)
        assert answer.is_error
        assert "No task has the id" in answer.content[0].text
    listed = json.loads((await scene.call(meta, "list_tasks", **named)).content[0].text)
    assert [task["title"] for task in listed["tasks"]] == ["x"]
    assert await rows_of_others(scene.admin_url, ATTACKER) == everybody_else
