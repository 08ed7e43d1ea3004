"""Whatever comes in: a 4xx problem with a stable code, never a 500, and nothing half-written."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from contracts import principal as scopes
from contracts.ids import new_id
from contracts.problems import PROBLEM_MEDIA_TYPE
from contracts.runs import MAX_CLAIMS
from tests.integration.history_service.conftest import History, signer
from tests.support.history import claim_one, conversation_put, run_create, user_message

SCOPES = (scopes.CONVERSATIONS_READ, scopes.CONVERSATIONS_WRITE, scopes.RUNS_CREATE, scopes.RUNS_READ)
CONVERSATION = "thr_bad_input"
NOW = datetime.now(UTC).isoformat()
DEEP = "[" * 100 + "]" * 100


async def send(history: History, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
    token = signer("chat-service").sign("history-service", SCOPES, user_id="alice")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return await history.http.request(method, path, content=body, headers=headers, params=query)


def assert_problem(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM_MEDIA_TYPE
    problem = response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"]


def item_body(**changes: Any) -> str:
    payload = user_message(CONVERSATION, item_id="msg_1") | changes
    return json.dumps({"payload": payload})


BAD_ITEMS = {
    "other id": item_body(id="msg_2"),
    "id is a number": item_body(id=1),
    "unknown type": item_body(type="poem"),
    "type is a list": item_body(type=["user_message"]),
    "other thread": item_body(thread_id="thr_other"),
    "no time": item_body(created_at=None),
    "time is a word": item_body(created_at="yesterday"),
    "time is out of range": item_body(created_at="0001-01-01T00:00:00+23:59"),
    "NUL in a text": item_body(content=[{"type": "input_text", "text": "a\x00b"}]),
    "NUL in a key": item_body(**{"a\x00b": 1}),
    "lone surrogate": item_body(content=[{"type": "input_text", "text": "\ud800"}]),
    "lone surrogate in a key": item_body(**{"\udfff": 1}),
    "lone surrogate outside": json.dumps({"payload": {}, "\ud800": 1}),
    "NaN": item_body(content=[float("nan")]),
    "infinity": item_body(content=[float("inf")]),
    "overflowing number": '{"payload": {"id": 1e999}}',
    "too deep": '{"payload": {"id": ' + DEEP + "}}",
    "payload is a list": '{"payload": []}',
    "payload is missing": "{}",
    "an unknown field": '{"payload": {}, "position": 3}',
    "tool calls are an object": '{"payload": {}, "tool_calls": {}}',
    "tool call of no shape": '{"payload": {}, "tool_calls": [{"id": 1}]}',
    "body is a list": "[]",
    "body is nothing": "",
    "body is not JSON": "{",
    "body is a word": '"x"',
    "body is NUL": "\x00",
}


async def test_bad_items(history: History, subtests: pytest.Subtests) -> None:
    alice = history.user()
    await alice.put_conversation(conversation_put(CONVERSATION))
    for name, body in BAD_ITEMS.items():
        with subtests.test(name):
            response = await send(history, "PUT", f"/conversations/{CONVERSATION}/items/msg_1", body)
            assert_problem(response, 422, "invalid_request")
    assert (await alice.list_items(CONVERSATION, include_hidden=True)).data == []


HOPELESS_BODIES = {
    "hopelessly deep": '{"payload": ' + "[" * 20_000 + "]" * 20_000 + "}",
    "a number of 5000 digits": '{"payload": {"n": ' + "9" * 5000 + "}}",
    "not UTF-8": b'{"payload": {"id": "\xff"}}',
}


async def test_bodies_that_do_not_parse(history: History, subtests: pytest.Subtests) -> None:
    for name, body in HOPELESS_BODIES.items():
        with subtests.test(name):
            response = await send(history, "PUT", f"/conversations/{CONVERSATION}/items/msg_1", body)
            assert response.status_code in {400, 422}, response.text
            assert response.headers["content-type"] == PROBLEM_MEDIA_TYPE


async def test_bad_limits(history: History, subtests: pytest.Subtests) -> None:
    for path in ("/conversations", f"/conversations/{CONVERSATION}/items", f"/conversations/{CONVERSATION}/runs"):
        for limit in (0, -1, 101, 10**9, "x", ""):
            with subtests.test(path, limit=limit):
                assert_problem(await send(history, "GET", path, limit=limit), 422, "invalid_request")


async def test_other_bad_parameters(history: History) -> None:
    items = f"/conversations/{CONVERSATION}/items"
    for query in ({"order": "up"}, {"after": "x" * 200}, {"hidden": "perhaps"}):
        assert_problem(await send(history, "GET", items, **query), 422, "invalid_request")
    for cursor in ("a\x00b", "a b", "msg_1@1.00000000", "msg_1@x"):
        assert_problem(await send(history, "GET", items, after=cursor), 422, "invalid_cursor")
    for identifier in ("a%00b", "%ED%A0%80", "a%20b", "x" * 200, "%F0%9F%98%80"):
        assert_problem(await send(history, "GET", f"/conversations/{identifier}"), 422, "invalid_request")


BAD_CONVERSATIONS: dict[str, dict[str, Any]] = {
    "long title": {"title": "x" * 201},
    "NUL in the title": {"title": "a\x00b"},
    "title is a number": {"title": 5},
    "metadata is a list": {"metadata": []},
    "surrogate in metadata": {"metadata": {"a": ["\ud83d"]}},
    "unknown field": {"user_id": "mallory"},
    "malformed id": {"id": "a b"},
    "long id": {"id": "x" * 129},
}


async def test_bad_conversations(history: History, subtests: pytest.Subtests) -> None:
    for name, body in BAD_CONVERSATIONS.items():
        with subtests.test(name):
            assert_problem(await send(history, "POST", "/conversations", json.dumps(body)), 422, "invalid_request")
            put = json.dumps({"id": CONVERSATION, "created_at": NOW} | body)
            assert_problem(await send(history, "PUT", f"/conversations/{CONVERSATION}", put), 422, "invalid_request")
    assert (await history.user().list_conversations()).data == []


async def test_a_run_of_a_bad_message_leaves_nothing_behind(history: History) -> None:
    new = run_create(CONVERSATION, new=True).model_dump(mode="json")
    bad: list[dict[str, Any]] = [{"item": {}}, {"id": "no id"}, {"item": new["item"] | {"thread_id": "thr_other"}}]
    for changes in bad:
        response = await send(history, "POST", f"/conversations/{CONVERSATION}/runs", json.dumps(new | changes))
        assert_problem(response, 422, "invalid_request")
    assert (await history.user().list_conversations()).data == []


async def test_times_beyond_the_calendar(history: History) -> None:
    for time in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "10000-01-01T00:00:00Z", 10**30, None):
        put = json.dumps({"id": CONVERSATION, "created_at": time})
        assert_problem(await send(history, "PUT", f"/conversations/{CONVERSATION}", put), 422, "invalid_request")


async def test_a_body_that_does_not_say_it_is_json(history: History) -> None:
    token = signer("chat-service").sign("history-service", SCOPES, user_id="alice")
    body = json.dumps({"title": "a\x00b"}).encode()
    for content_type in (None, "text/plain", "application/octet-stream"):
        headers = {"Authorization": f"Bearer {token}"} | ({"Content-Type": content_type} if content_type else {})
        response = await history.http.post("/conversations", content=body, headers=headers)
        assert_problem(response, 422, "invalid_request")


BAD_ITEMS_PUTS: list[dict[str, Any]] = [
    {"attempt": 2**31},
    {"attempt": -1},
    {"attempt": "x"},
    {"attempt": 10**30},
    {"attempt": 1, "items": [{"payload": {}}]},
]
BAD_FINISHES: list[dict[str, Any]] = [
    *BAD_ITEMS_PUTS,
    {"attempt": 1, "title": "x" * 201},
    {"attempt": 1, "title": "\x00"},
    {"attempt": 1, "status": "queued"},
]


async def test_bad_reports_of_a_worker(history: History, subtests: pytest.Subtests) -> None:
    conversation_id = new_id("thr")
    await history.user().create_run(conversation_id, run_create(conversation_id, new=True))
    claim = await claim_one(history.worker, "worker-1")
    assert claim is not None
    own = {"Authorization": f"Bearer {claim.token}"}
    reports = [("finish", {"status": "completed"} | body) for body in BAD_FINISHES]
    reports += [("items", {"items": [{"payload": {}}]} | body) for body in BAD_ITEMS_PUTS]
    for where, body in reports:
        with subtests.test(where, body=str(body)[:60]):
            response = await history.http.post(f"/runs/{claim.run.id}/{where}", json=body, headers=own)
            assert_problem(response, 422, "invalid_request")
    assert (await history.user().get_run(claim.run.id)).status == "in_progress"


async def test_bad_claims_and_heartbeats(history: History) -> None:
    token = signer("agent-worker").sign("history-service", [scopes.RUNS_WORK])
    headers = {"Authorization": f"Bearer {token}"}
    for path, body in (
        ("/runs/claim", {}),
        ("/runs/claim", {"worker_id": ""}),
        ("/runs/claim", {"worker_id": "x" * 129}),
        ("/runs/claim", {"worker_id": "a\x00"}),
        ("/runs/claim", {"worker_id": "a", "most": 0}),
        ("/runs/claim", {"worker_id": "a", "most": MAX_CLAIMS + 1}),
        ("/runs/run_1/heartbeat", {"attempt": 2**31}),
        ("/runs/run_1/release", {"attempt": None}),
        ("/runs/a%00b/heartbeat", {"attempt": 1}),
    ):
        assert_problem(await history.http.post(path, json=body, headers=headers), 422, "invalid_request")


async def test_a_body_over_the_limit(history: History) -> None:
    body = item_body(content=[{"type": "input_text", "text": "x" * 70_000}]).encode()

    async def chunks() -> Any:
        for start in range(0, len(body), 8192):
            yield body[start : start + 8192]

    path = f"/conversations/{CONVERSATION}/items/msg_1"
    for content in (body, chunks()):
        assert_problem(await send(history, "PUT", path, content), 413, "payload_too_large")


async def test_who_may_not_do_it(history: History) -> None:
    path = f"/conversations/{CONVERSATION}"
    assert_problem(await history.http.get(path), 401, "token_missing")
    assert_problem(await history.http.get(path, headers={"Authorization": "Bearer x.y.z"}), 401, "token_invalid")

    chat = signer("chat-service")
    elsewhere = chat.sign("task-tools", [scopes.CONVERSATIONS_READ], user_id="alice")
    reader = chat.sign("history-service", [scopes.CONVERSATIONS_READ], user_id="alice")
    nobody = chat.sign("history-service", [scopes.CONVERSATIONS_READ])
    claimer = chat.sign("history-service", [scopes.RUNS_WORK])
    worker_as_user = signer("agent-worker").sign("history-service", [scopes.CONVERSATIONS_READ], user_id="alice")
    for method, where, token, status, code in (
        ("GET", path, elsewhere, 401, "token_invalid"),
        ("GET", path, worker_as_user, 401, "token_invalid"),
        ("POST", "/runs/claim", claimer, 401, "token_invalid"),
        ("DELETE", path, reader, 403, "scope_missing"),
        ("GET", path, nobody, 403, "scope_missing"),
        ("POST", "/runs/claim", reader, 403, "scope_missing"),
        ("POST", f"/runs/{new_id('run')}/finish", reader, 403, "scope_missing"),
        ("GET", "/nowhere", reader, 404, "route_not_found"),
        ("POST", path, reader, 405, "method_not_allowed"),
    ):
        response = await history.http.request(method, where, headers={"Authorization": f"Bearer {token}"}, content="{}")
        assert_problem(response, status, code)
