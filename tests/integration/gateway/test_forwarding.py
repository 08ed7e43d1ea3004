"""What passes the gateway, in which direction, and with which rights."""

import asyncio
import re
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from tests.integration.gateway.conftest import Inside, StartGateway, bearer, secret_token, verifier_of

ROUTES = [
    ("POST", "/chatkit", "POST /chatkit", "chat-service", "chat"),
    ("GET", "/model", "GET /model", "chat-service", "chat"),
    ("GET", "/runs/run_1/events", "GET /runs/run_1/events", "chat-service", "chat"),
    ("GET", "/conversations", "GET /conversations", "history-service", "conversations:read"),
    ("POST", "/conversations", "POST /conversations", "history-service", "conversations:write"),
    ("GET", "/conversations/search", "GET /conversations/search", "history-service", "conversations:read"),
    ("GET", "/conversations/thr_1", "GET /conversations/thr_1", "history-service", "conversations:read"),
    ("PATCH", "/conversations/thr_1", "PATCH /conversations/thr_1", "history-service", "conversations:write"),
    ("DELETE", "/conversations/thr_1", "DELETE /conversations/thr_1", "history-service", "conversations:write"),
    (
        "GET",
        "/conversations/thr_1/messages",
        "GET /conversations/thr_1/messages",
        "history-service",
        "conversations:read",
    ),
    ("GET", "/runs/run_1", "GET /runs/run_1", "history-service", "runs:read"),
    ("POST", "/runs/run_1/cancel", "POST /runs/run_1/cancel", "chat-service", "chat"),
    ("GET", "/tasks", "GET /tasks", "task-tools", "tasks"),
    ("POST", "/tasks", "POST /tasks", "task-tools", "tasks"),
    ("GET", "/tasks/task_1", "GET /tasks/task_1", "task-tools", "tasks"),
    ("PATCH", "/tasks/task_1", "PATCH /tasks/task_1", "task-tools", "tasks"),
    ("DELETE", "/tasks/task_1", "DELETE /tasks/task_1", "task-tools", "tasks"),
]


@pytest.mark.parametrize(("method", "path", "line", "service", "scope"), ROUTES)
async def test_each_route_reaches_its_service_with_its_one_scope(
    gateway: httpx.AsyncClient, inside: Inside, method: str, path: str, line: str, service: str, scope: str
) -> None:
    response = await gateway.request(method, f"/api/ann{path}")
    assert response.status_code == 200
    assert inside.lines == [line]
    principal = verifier_of(service).verify(inside.last.headers["authorization"].removeprefix("Bearer "))
    assert (principal.issuer, principal.user_id, principal.scopes) == ("gateway", "ann", {scope})
    assert principal.run_id is None


async def test_no_route_without_a_token_or_for_somebody_else(gateway: httpx.AsyncClient, inside: Inside) -> None:
    for method, path, *_ in ROUTES:
        foreign = await gateway.request(method, f"/api/bob{path}")
        assert (foreign.status_code, foreign.json()["code"]) == (403, "user_mismatch")
        nobody = await gateway.request(method, f"/api/ann{path}", headers={"Authorization": ""})
        assert (nobody.status_code, nobody.json()["code"]) == (401, "token_missing")
        assert nobody.headers["www-authenticate"].startswith("Bearer")
    assert inside.seen == []


async def test_only_named_headers_reach_a_service(gateway: httpx.AsyncClient, inside: Inside) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    sent = {
        "Cookie": "session=1",
        "X-Forwarded-For": "10.0.0.1",
        "X-Forwarded-Host": "evil",
        "X-Real-Ip": "10.0.0.1",
        "Forwarded": "for=10.0.0.1",
        "X-User-Id": "bob",
        "X-User-Email": "bob@example.com",
        "Proxy-Authorization": "Basic eA==",
        "Te": "trailers",
        "Connection": "keep-alive, x-mine",
        "X-Mine": "1",
        "Upgrade": "websocket",
        "Accept-Encoding": "gzip",
        "Accept-Language": "de",
        "Last-Event-ID": "1-7",
        "Idempotency-Key": "k",
        "traceparent": trace,
        "tracestate": "a=b",
        "X-Request-Id": "request-0001",
    }
    response = await gateway.post("/api/ann/chatkit", headers=sent, content=b"{}")
    received = dict(inside.last.headers)
    received.pop("host")
    assert received.pop("authorization") != gateway.headers["Authorization"]
    assert received == {
        "accept": "*/*",
        "accept-language": "de",
        "content-length": "2",
        "idempotency-key": "k",
        "last-event-id": "1-7",
        "traceparent": trace,
        "tracestate": "a=b",
        "x-request-id": "request-0001",
    }
    assert response.headers["x-request-id"] == "request-0001"


@pytest.mark.parametrize("trace", ["00-" + "0" * 32 + "-00f067aa0ba902b7-01", "nonsense", "01-ab-cd-ef"])
async def test_a_malformed_trace_is_replaced(gateway: httpx.AsyncClient, inside: Inside, trace: str) -> None:
    for headers in ({"traceparent": trace, "tracestate": "a=b"}, {}):
        await gateway.get("/api/ann/tasks", headers=headers)
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", inside.last.headers["traceparent"])
        assert "tracestate" not in inside.last.headers
    first, second = (request.headers["traceparent"] for request in inside.seen)
    assert first != second


async def test_a_malformed_request_id_is_replaced(gateway: httpx.AsyncClient, inside: Inside) -> None:
    response = await gateway.get("/api/ann/tasks", headers={"X-Request-Id": "a b"})
    assert inside.last.headers["x-request-id"] == response.headers["x-request-id"] != "a b"


async def test_query_and_body_arrive_as_they_were_sent(gateway: httpx.AsyncClient, inside: Inside) -> None:
    await gateway.get("/api/ann/tasks?limit=2&after=task_1&x=%2F%20%26a&y=a+b")
    assert inside.last.url.query == "limit=2&after=task_1&x=%2F%20%26a&y=a+b"
    body = bytes(range(256)) * 4000
    await gateway.post("/api/ann/chatkit", content=body, headers={"Content-Type": "application/json"})
    assert inside.bodies[-1] == body
    assert inside.last.headers["content-type"] == "application/json"


async def test_answers_keep_status_type_and_named_headers(gateway: httpx.AsyncClient, inside: Inside) -> None:
    headers = {
        "X-Run-Id": "run_1",
        "Retry-After": "7",
        "Set-Cookie": "a=b",
        "Server": "inside",
        "X-Internal": "1",
        "X-Accel-Redirect": "/etc",
        "Access-Control-Allow-Origin": "*",
    }
    inside.answer = lambda: Response(b'{"a":1}', 429, headers, media_type="application/problem+json")
    response = await gateway.get("/api/ann/tasks")
    assert (response.status_code, response.content) == (429, b'{"a":1}')
    assert (response.headers["x-run-id"], response.headers["retry-after"]) == ("run_1", "7")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["server"] != "inside"
    for name in ("set-cookie", "x-internal", "x-accel-redirect", "access-control-allow-origin"):
        assert name not in response.headers


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body(gateway: httpx.AsyncClient, inside: Inside, status: int) -> None:
    inside.answer = lambda: Response(status_code=status)
    response = await gateway.delete("/api/ann/tasks/task_1")
    assert (response.status_code, response.content) == (status, b"")
    assert (await gateway.get("/api/ann/tasks")).status_code == status


async def test_redirects_are_not_followed(gateway: httpx.AsyncClient, inside: Inside) -> None:
    inside.answer = lambda: Response(status_code=307, headers={"location": "http://127.0.0.1:1/secret"})
    response = await gateway.get("/api/ann/tasks")
    assert response.status_code == 307
    assert "location" not in response.headers


CROOKED = [
    "/api/ann/conversations/..%2fruns",
    "/api/ann/conversations/%2e%2e",
    "/api/ann/conversations/../runs/run_1",
    "/api/ann/conversations/a%2fb",
    "/api/ann/conversations/a%00b",
    "/api/ann/conversations/a%3fx=1",
    "/api/ann/conversations/a%23b",
    "/api/ann/conversations/" + "a" * 129,
    "/api/ann/conversations/thr_1/items",
    "/api/ann/runs/claim/x",
    "/api/ann//tasks",
    "/api/%2e%2e/tasks",
    "/conversations",
    "/chatkit",
]


async def test_no_crooked_path_reaches_a_service(gateway: httpx.AsyncClient, inside: Inside) -> None:
    for path in CROOKED:
        reader, writer = await asyncio.open_connection(gateway.base_url.host, gateway.base_url.port)
        authorization = gateway.headers["Authorization"]
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n".encode())
        status = int((await reader.readline()).split()[1])
        writer.close()
        await writer.wait_closed()
        assert status in {400, 403, 404, 405}, path
    assert inside.seen == []


async def test_run_ids_are_not_routes_of_the_service(gateway: httpx.AsyncClient, inside: Inside) -> None:
    """`claim` looks like an id; what it reaches is the run of that name, by GET, without the right to claim."""
    assert (await gateway.post("/api/ann/runs/claim")).status_code == 405
    assert inside.seen == []


async def test_large_bodies_are_refused_by_their_declared_size(gateway: httpx.AsyncClient, inside: Inside) -> None:
    response = await gateway.post("/api/ann/chatkit", content=b"x" * 1_048_577)
    assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")
    assert inside.seen == []


async def test_large_bodies_are_refused_without_a_declared_size(gateway: httpx.AsyncClient, inside: Inside) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 65_536

    response = await gateway.post("/api/ann/chatkit", content=endless())
    assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")
    assert inside.bodies == []


async def test_tokens_are_signed_once_and_used_again(
    gateway: httpx.AsyncClient, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(int(time.time()), int(time.time()) + 50))
    monkeypatch.setattr("service_kit.internal_tokens.time.time", lambda: next(clock))
    for path in ("/tasks", "/tasks", "/conversations", "/runs/run_1", "/conversations", "/tasks"):
        await gateway.get(f"/api/ann{path}")
    assert len({request.headers["authorization"] for request in inside.seen}) == 3


async def test_cors_is_off_unless_origins_are_named(gateway: httpx.AsyncClient, start_gateway: StartGateway) -> None:
    origin = {"Origin": "https://page.test"}
    assert "access-control-allow-origin" not in (await gateway.get("/api/ann/tasks", headers=origin)).headers
    async with start_gateway(cors_allow_origins="https://page.test, https://other.test") as client:
        ask = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        allowed = await client.options("/api/ann/chatkit", headers=ask)
        assert allowed.headers["access-control-allow-origin"] == "https://page.test"
        assert "access-control-allow-credentials" not in allowed.headers
        refused = await client.get("/api/ann/tasks", headers=origin)
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "https://page.test"
        ask["Origin"] = "https://evil.test"
        assert (await client.options("/api/ann/chatkit", headers=ask)).status_code == 400


async def test_openapi_names_every_route_and_its_problems(gateway: httpx.AsyncClient) -> None:
    paths = (await gateway.get("/openapi.json")).json()["paths"]
    for method, path, *_ in ROUTES:
        template = (
            path.replace("thr_1", "{conversation_id}").replace("run_1", "{run_id}").replace("task_1", "{task_id}")
        )
        operation = paths[f"/api/{{user_id}}{template}"][method.lower()]
        assert operation["summary"]
        opens = path in ("/chatkit", "/runs/run_1", "/runs/run_1/events", "/runs/run_1/cancel")
        assert operation["security"] == [*([{"ChatKitSession": []}] if opens else []), {"BetterAuth": []}]
        assert {"401", "403", "502", "503", "504"} <= set(operation["responses"])
        assert "user_id" in {parameter["name"] for parameter in operation["parameters"]}


async def test_a_users_id_may_be_any_segment(start_gateway: StartGateway, inside: Inside) -> None:
    async with start_gateway() as client:
        token = secret_token(sub="auth0|42@example.com")
        response = await client.get("/api/auth0%7C42%40example.com/tasks", headers=bearer(token))
    assert response.status_code == 200
    assert inside.lines == ["GET /tasks"]


async def test_json_answers_are_the_services_bytes(gateway: httpx.AsyncClient, inside: Inside) -> None:
    inside.answer = lambda: JSONResponse({"data": ["x" * 200_000]})
    response = await gateway.get("/api/ann/tasks")
    assert response.content == inside.answer().body
    assert response.headers["content-length"] == str(len(response.content))
