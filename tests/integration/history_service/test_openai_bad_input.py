"""Bad input on `/v1`: a 4xx in OpenAI's shape with a stable code and the parameter, and nothing half-written."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from contracts.conversations import JsonObject
from contracts.principal import CONVERSATIONS_READ, CONVERSATIONS_WRITE
from history_client import UserHistory
from tests.integration.history_service.conftest import History, signer
from tests.support.history import conversation_put

USER: JsonObject = {"role": "user", "content": "Hi"}


async def send(history: History, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
    token = signer("chat-service").sign("history-service", (CONVERSATIONS_READ, CONVERSATIONS_WRITE), user_id="alice")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    content = body if isinstance(body, str | bytes) or body is None else json.dumps(body)
    return await history.http.request(method, path, content=content, headers=headers, params=query)


def assert_error(response: httpx.Response, param: str | None, code: str = "invalid_request", status: int = 400) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)
    assert error["message"]


BAD_CREATES: list[tuple[JsonObject | str, str | None]] = [
    ({"items": [USER] * 21}, "items"),
    ({"items": "Hi"}, "items"),
    ({"items": ["Hi"]}, "items[0]"),
    ({"items": [USER, None]}, "items[1]"),
    ({"items": [USER, {"type": "poem"}]}, "items[1].type"),
    ({"items": [USER, USER | {"content": "a\0b"}]}, None),
    ({"items": [USER, USER | {"content": "\ud800"}]}, None),
    ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
    ({"metadata": {"k" * 65: ""}}, f"metadata.{'k' * 65}.[key]"),
    ({"metadata": {"k": "v" * 513}}, "metadata.k"),
    ({"metadata": {"k": 5}}, "metadata.k"),
    ({"metadata": ["k"]}, "metadata"),
    ({"title": "x"}, "title"),
    ("[", None),
    ("[]", None),
    ('{"items": [], "items": []}', None),
    ('{"items": [' + '{"a":' * 70 + "1" + "}" * 70 + "]}", None),
    ('{"items": ' + "[" * 20_000 + "]" * 20_000 + "}", None),
    ('{"items": [{"type": "reasoning", "summary": NaN}]}', None),
    ('{"items": [{"type": "reasoning", "summary": 1e999}]}', None),
]


@pytest.mark.parametrize(("body", "param"), BAD_CREATES)
async def test_bad_conversations(history: History, alice: UserHistory, body: JsonObject, param: str | None) -> None:
    assert_error(await send(history, "POST", "/v1/conversations", body), param)
    assert (await alice.list_conversations()).data == []


async def test_bad_items(history: History, alice: UserHistory, subtests: pytest.Subtests) -> None:
    thread = (await alice.put_conversation(conversation_put())).id
    before = await alice.get_conversation(thread)
    bad: list[tuple[Any, str | None]] = [
        ({}, "items"),
        ({"items": None}, "items"),
        ({"items": []}, "items"),
        *((body, param) for body, param in BAD_CREATES if isinstance(body, dict) and "items" in body),
    ]
    for body, param in bad:
        with subtests.test(str(body)[:60]):
            assert_error(await send(history, "POST", f"/v1/conversations/{thread}/items", body), param)
    assert (await alice.list_items(thread, include_hidden=True)).data == []
    assert await alice.get_conversation(thread) == before


async def test_bad_updates(history: History, alice: UserHistory, subtests: pytest.Subtests) -> None:
    thread = (await alice.put_conversation(conversation_put())).id
    bad: list[Any] = [{}, {"metadata": 5}, {"metadata": {"k": None}}, {"metadata": {}, "title": "x"}, "null", "x"]
    for body in bad:
        with subtests.test(body=body):
            response = await send(history, "POST", f"/v1/conversations/{thread}", body)
            assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_request")
    assert (await alice.get_conversation(thread)).metadata == {}


async def test_bad_parameters(history: History, alice: UserHistory, subtests: pytest.Subtests) -> None:
    thread = (await alice.put_conversation(conversation_put())).id
    path = f"/v1/conversations/{thread}/items"
    bad: list[tuple[str, Any]] = [
        *(("limit", value) for value in (0, -1, 101, 10**9, "x", "", 1.5)),
        *(("order", value) for value in ("up", "", "ASC")),
        *(("after", value) for value in ("", "a b", "x" * 145, "\0")),
    ]
    for name, value in bad:
        with subtests.test(name, value=value):
            assert_error(await send(history, "GET", path, **{name: value}), name)
    assert_error(await send(history, "GET", path, include="everything"), "include[0]")
    assert_error(await send(history, "GET", path, **{"include[]": "everything"}), "include[][0]")
    assert_error(await send(history, "GET", path, after="msg_1"), None, "invalid_cursor")
    for bad_id in ("a%20b", "%00", "x" * 129):
        assert_error(await send(history, "GET", f"/v1/conversations/{bad_id}"), "conversation_id")
    assert_error(await send(history, "GET", f"{path}/{'x' * 145}"), "item_id")
    assert_error(await send(history, "DELETE", f"{path}/a%20b"), "item_id")


async def test_a_body_over_the_limit(history: History) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(65):
            yield b" " * 1024

    path, code = "/v1/conversations", "payload_too_large"
    assert_error(await send(history, "POST", path, " " * (64 * 1024 + 1)), None, code, 413)
    token = signer("chat-service").sign("history-service", (CONVERSATIONS_WRITE,), user_id="alice")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    assert_error(await history.http.post(path, content=chunks(), headers=headers), None, code, 413)


async def test_arguments_of_a_call_may_be_anything(history: History, alice: UserHistory) -> None:
    thread = (await alice.put_conversation(conversation_put())).id
    texts = ["", "{", '{"a": "\\u0000"}', '{"a": "\\ud800"}', '{"a": 1e999}', "[" * 20_000, "9" * 5000]
    calls = [{"type": "function_call", "call_id": "c", "name": "n", "arguments": text} for text in texts]
    response = await send(history, "POST", f"/v1/conversations/{thread}/items", {"items": calls})
    assert [item["arguments"] for item in response.json()["data"]] == texts
    assert [message.tool_calls[0].arguments for message in (await alice.list_messages(thread)).data] == [{}] * 7
