"""The REST face, over real sockets and a real database."""

from collections.abc import AsyncGenerator

import httpx
import pytest

from tests.integration.task_tools.conftest import Issuers, client_of


async def _create(client: httpx.AsyncClient, title: str, description: str | None = None) -> dict[str, object]:
    response = await client.post("/tasks", json={"title": title, "description": description})
    assert response.status_code == 201, response.text
    return response.json()


async def test_task_lives_from_creation_to_deletion(ann: httpx.AsyncClient) -> None:
    task = await _create(ann, "  Buy   milk ", "two litres")
    assert task["title"] == "Buy milk"
    assert task["description"] == "two litres"
    assert (task["completed"], task["status"]) == (False, "pending")
    path = f"/tasks/{task['id']}"

    changed = (await ann.patch(path, json={"title": "Buy oat milk", "completed": True})).json()
    assert (changed["title"], changed["completed"], changed["status"]) == ("Buy oat milk", True, "completed")
    assert changed["updated_at"] > task["updated_at"]
    assert (await ann.get(path)).json() == changed

    cleared = (await ann.patch(path, json={"description": None})).json()
    assert "description" not in cleared or cleared["description"] is None
    assert cleared["title"] == "Buy oat milk"

    assert (await ann.delete(path)).status_code == 204
    gone = await ann.get(path)
    assert (gone.status_code, gone.json()["code"]) == (404, "task_not_found")


async def test_pages_cover_the_list_newest_first(ann: httpx.AsyncClient) -> None:
    ids = [(await _create(ann, f"task {number}"))["id"] for number in range(5)]
    seen: list[object] = []
    after = None
    while True:
        query = {"limit": "2"} | ({"after": after} if after else {})
        page = (await ann.get("/tasks", params=query)).json()
        seen += [task["id"] for task in page["data"]]
        after = page["after"]
        if not page["has_more"]:
            break
    assert seen == ids[::-1]
    ascending = (await ann.get("/tasks", params={"order": "asc", "limit": 100})).json()
    assert [task["id"] for task in ascending["data"]] == ids


async def test_status_filters_the_list(ann: httpx.AsyncClient) -> None:
    done, _ = await _create(ann, "done"), await _create(ann, "open")
    await ann.patch(f"/tasks/{done['id']}", json={"completed": True})
    completed = (await ann.get("/tasks", params={"status": "completed"})).json()["data"]
    pending = (await ann.get("/tasks", params={"status": "pending"})).json()["data"]
    assert [task["title"] for task in completed] == ["done"]
    assert [task["title"] for task in pending] == ["open"]


async def test_empty_list_is_a_page(ann: httpx.AsyncClient) -> None:
    assert (await ann.get("/tasks")).json() == {"data": [], "has_more": False, "after": None}


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_somebody_elses_task_is_forbidden_and_unchanged(
    ann: httpx.AsyncClient, bob: httpx.AsyncClient, method: str
) -> None:
    task = await _create(ann, "private")
    refused = await bob.request(
        method, f"/tasks/{task['id']}", json={"title": "mine now"} if method == "PATCH" else None
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "task_forbidden")
    assert "private" not in refused.text
    assert (await ann.get(f"/tasks/{task['id']}")).json() == task
    assert (await bob.get("/tasks")).json()["data"] == []


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_unknown_task_is_not_found(ann: httpx.AsyncClient, method: str) -> None:
    body = {"title": "x"} if method == "PATCH" else None
    response = await ann.request(method, "/tasks/task_unknown", json=body)
    assert (response.status_code, response.json()["code"]) == (404, "task_not_found")
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": ""},
        {"title": " \n "},
        {"title": "x" * 201},
        {"title": "a\x00b"},
        {"title": "ok", "description": "d" * 2001},
        {"title": "ok", "description": "\x00"},
        {"title": "ok", "user_id": "bob"},
        {"title": 7},
    ],
)
async def test_bad_input_is_unprocessable(ann: httpx.AsyncClient, body: dict[str, object]) -> None:
    response = await ann.post("/tasks", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


async def test_half_a_surrogate_pair_is_unprocessable(ann: httpx.AsyncClient) -> None:
    response = await ann.post("/tasks", content=b'{"title": "a\\ud800b"}', headers={"content-type": "application/json"})
    assert response.status_code == 422


@pytest.mark.parametrize("body", [{"title": None}, {"title": "  "}, {"completed": None}])
async def test_bad_change_is_unprocessable(ann: httpx.AsyncClient, body: dict[str, object]) -> None:
    task = await _create(ann, "stays")
    assert (await ann.patch(f"/tasks/{task['id']}", json=body)).status_code == 422
    assert (await ann.get(f"/tasks/{task['id']}")).json() == task


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "101"}, {"after": "a'b"}, {"status": "all"}])
async def test_bad_query_is_unprocessable(ann: httpx.AsyncClient, query: dict[str, str]) -> None:
    assert (await ann.get("/tasks", params=query)).status_code == 422


async def test_only_gateway_tokens_for_this_service_and_scope_pass(base_url: str, issuers: Issuers) -> None:
    async with httpx.AsyncClient(base_url=base_url) as nobody:
        assert (await nobody.get("/tasks")).json()["code"] == "token_missing"
    for token, status in (
        (issuers.forged_token("ann"), 401),
        (issuers.gateway_token("ann", audience="chat-service"), 401),
        (issuers.gateway_token("ann", scope="chat"), 401),
        (issuers.run_token(None, scopes=("tasks",)), 403),
        (issuers.run_token("ann", scopes=("runs:items",)), 403),
    ):
        async with client_of(base_url, token) as client:
            assert (await client.get("/tasks")).status_code == status


async def test_health(base_url: str) -> None:
    async with httpx.AsyncClient(base_url=base_url) as client:
        assert (await client.get("/readyz")).json() == {"status": "ok", "dependencies": ["postgres"]}
        assert (await client.get("/healthz")).status_code == 200
        assert "threadkeep_http_requests_total" in (await client.get("/metrics")).text


@pytest.mark.parametrize(("method", "path"), [("POST", "/tasks"), ("PATCH", "/tasks/task_1"), ("POST", "/mcp")])
async def test_a_body_without_end_is_not_read(base_url: str, ann: httpx.AsyncClient, method: str, path: str) -> None:
    """Whether its length is announced or not; at the REST face, without a token, it is not even begun."""
    piece = b" " * 1_000_000

    async def in_pieces() -> AsyncGenerator[bytes]:
        for _ in range(5):
            yield piece

    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    async with httpx.AsyncClient(base_url=base_url, timeout=10) as nobody:
        for client in (ann, nobody):
            for body in (piece * 5, in_pieces()):
                answer = await client.request(method, path, content=body, headers=headers)
                is_looked_at = client is ann or path == "/mcp" or isinstance(body, bytes)
                told = (413, "payload_too_large") if is_looked_at else (401, "token_missing")
                assert (answer.status_code, answer.json()["code"]) == told
