"""Who may not, is told so: by status, code and problem details."""

from typing import Any

import httpx
import pytest

from contracts.ids import new_id
from contracts.problems import PROBLEM_MEDIA_TYPE
from tests.support.chatkit import ChatKitClient
from tests.support.system import System


def problem(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM_MEDIA_TYPE
    body: dict[str, Any] = response.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["title"]
    assert body["request_id"] == response.headers["x-request-id"]


def paths(user_id: str, conversation_id: str) -> list[tuple[str, str]]:
    base = f"/api/{user_id}"
    return [
        ("POST", f"{base}/chatkit"),
        ("GET", f"{base}/conversations"),
        ("GET", f"{base}/conversations/{conversation_id}"),
        ("GET", f"{base}/conversations/{conversation_id}/messages"),
        ("GET", f"{base}/tasks"),
    ]


@pytest.fixture
async def conversation_id(system: System, user_id: str) -> str:
    """A conversation of the user's."""
    async with system.client(user_id) as http, ChatKitClient(http, user_id).say("hello") as answer:
        return (await answer.to_the_end()).thread_id


async def test_without_a_token_nothing_is_answered(system: System, user_id: str, conversation_id: str) -> None:
    async with system.client(None) as http:
        for method, path in paths(user_id, conversation_id):
            response = await http.request(method, path)
            problem(response, 401, "token_missing")
            assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_forged_token_is_refused(system: System, user_id: str) -> None:
    token = system.token(user_id)
    for forged in (token[:-4] + "AAAA", "x.y.z", token.split(".")[0] + "..", "Bearer"):
        async with system.client(None) as http:
            response = await http.get(f"/api/{user_id}/tasks", headers={"Authorization": f"Bearer {forged}"})
            problem(response, 401, "token_invalid")


async def test_an_expired_token_is_refused(system: System, user_id: str) -> None:
    headers = {"Authorization": f"Bearer {system.token(user_id, seconds=-3600)}"}
    async with system.client(None) as http:
        problem(await http.get(f"/api/{user_id}/tasks", headers=headers), 401, "token_expired")


async def test_somebody_elses_path_is_forbidden(system: System, user_id: str, conversation_id: str) -> None:
    async with system.client("somebody-else") as http:
        for method, path in paths(user_id, conversation_id):
            problem(await http.request(method, path), 403, "user_mismatch")


async def test_somebody_elses_conversation_is_forbidden(system: System, conversation_id: str) -> None:
    async with system.client("somebody-else") as http:
        chat = {"type": "threads.get_by_id", "params": {"thread_id": conversation_id}}
        base = "/api/somebody-else"
        problem(await http.post(f"{base}/chatkit", json=chat), 403, "conversation_forbidden")
        for suffix in ("", "/messages"):
            response = await http.get(f"{base}/conversations/{conversation_id}{suffix}")
            problem(response, 403, "conversation_forbidden")
            assert "hello" not in response.text
        problem(await http.delete(f"{base}/conversations/{conversation_id}"), 403, "conversation_forbidden")
        say: dict[str, Any] = {
            "content": [{"type": "input_text", "text": "hi"}],
            "attachments": [],
            "inference_options": {},
        }
        add = {"type": "threads.add_user_message", "params": {"thread_id": conversation_id, "input": say}}
        problem(await http.post(f"{base}/chatkit", json=add), 403, "conversation_forbidden")


async def test_an_unknown_conversation_is_not_found(system: System, user_id: str) -> None:
    unknown = new_id("thr")
    async with system.client(user_id) as http:
        chat = {"type": "threads.get_by_id", "params": {"thread_id": unknown}}
        problem(await http.post(f"/api/{user_id}/chatkit", json=chat), 404, "conversation_not_found")
        for suffix in ("", "/messages"):
            response = await http.get(f"/api/{user_id}/conversations/{unknown}{suffix}")
            problem(response, 404, "conversation_not_found")


async def test_a_malformed_request_is_a_problem(system: System, user_id: str) -> None:
    async with system.client(user_id) as http:
        for body in (b"", b"{", b"[]", b'{"type":"no.such"}', b'{"type":"threads.create","params":{}}', b"\xff\x00"):
            problem(await http.post(f"/api/{user_id}/chatkit", content=body), 422, "invalid_request")
