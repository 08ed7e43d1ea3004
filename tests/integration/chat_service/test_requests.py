"""All 16 ChatKit request types, and everything that is refused, before the first byte."""

from typing import Any

import httpx
import pytest

from contracts.ids import new_id
from service_kit.internal_tokens import TokenSigner
from tests.integration.chat_service.system import System, User, message, running_system
from tests.integration.chat_service.test_chat import start_thread

WIDGET = {"type": "Card", "children": [{"type": "Text", "value": "Hello"}]}


def code_of(response: httpx.Response) -> tuple[int, str]:
    """Return status and code of a problem."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem = response.json()
    assert problem["request_id"] == response.headers["x-request-id"]
    return response.status_code, problem["code"]


async def put_widget(system: System, thread_id: str) -> str:
    """Store a widget item; returns its id."""
    item_id = new_id("msg")
    item = {
        "id": item_id,
        "thread_id": thread_id,
        "created_at": "2026-11-01T10:00:00Z",
        "type": "widget",
        "widget": WIDGET,
    }
    await system.history_of().put_item(thread_id, item_id, item)
    return item_id


async def test_threads_are_read_listed_renamed_and_deleted(system: System) -> None:
    user = system.user()
    first, _ = await start_thread(system, user)
    second, _ = await start_thread(system, user)
    listed = (await user.post("threads.list", limit=1)).json()
    assert ([thread["id"] for thread in listed["data"]], listed["has_more"]) == ([second], True)
    rest = (await user.post("threads.list", limit=5, after=listed["after"])).json()
    assert ([thread["id"] for thread in rest["data"]], rest["has_more"]) == ([first], False)
    renamed = (await user.post("threads.update", thread_id=first, title="Groceries")).json()
    assert renamed["title"] == "Groceries"
    thread = (await user.post("threads.get_by_id", thread_id=first)).json()
    assert thread["title"] == "Groceries"
    assert thread["created_at"].endswith("Z")
    assert [item["type"] for item in thread["items"]["data"]] == ["user_message", "assistant_message"]
    assert (await user.post("threads.delete", thread_id=first)).json() == {}
    assert code_of(await user.post("threads.get_by_id", thread_id=first)) == (404, "conversation_not_found")


async def test_items_are_listed_in_pages_and_both_orders(system: System) -> None:
    user = system.user()
    thread_id, message_id = await start_thread(system, user)
    newest = (await user.post("items.list", thread_id=thread_id, limit=1)).json()
    assert newest["has_more"] is True
    rest = (await user.post("items.list", thread_id=thread_id, after=newest["after"])).json()
    assert [item["id"] for item in rest["data"]] == [message_id]
    oldest = (await user.post("items.list", thread_id=thread_id, order="asc", limit=1)).json()
    assert [item["id"] for item in oldest["data"]] == [message_id]


@pytest.mark.parametrize("limit", [-1, 0, 1, 100, 101, 10**9])
async def test_any_limit_is_brought_into_bounds(system: System, limit: int) -> None:
    user = system.user()
    thread_id, _ = await start_thread(system, user)
    assert (await user.post("items.list", thread_id=thread_id, limit=limit)).status_code == 200
    assert (await user.post("threads.list", limit=limit)).status_code == 200


async def test_hidden_items_are_not_shown_but_removed_by_a_retry(system: System) -> None:
    user = system.user()
    thread_id, message_id = await start_thread(system, user)
    hidden = {
        "id": new_id("shcx"),
        "thread_id": thread_id,
        "created_at": "2026-11-01T10:00:00Z",
        "type": "sdk_hidden_context",
        "content": "secret",
    }
    await system.history_of().put_item(thread_id, hidden["id"], hidden)
    assert "secret" not in (await user.post("threads.get_by_id", thread_id=thread_id)).text
    assert "secret" not in (await user.post("items.list", thread_id=thread_id)).text
    async with user.stream("threads.retry_after_item", thread_id=thread_id, item_id=message_id) as chat:
        await chat.read_until(b"stream_options")
    left = await system.history_of().list_items(thread_id, include_hidden=True)
    assert [item["id"] for item in left.data] == [message_id]


async def test_a_refused_retry_leaves_the_answer_where_it_was(database_url: str, redis_url: str) -> None:
    async with running_system(database_url, redis_url, history={"run_queue_limit_per_user": 1}) as system:
        user = system.user()
        thread_id, message_id = await start_thread(system, user)
        before = (await user.post("items.list", thread_id=thread_id)).json()
        async with user.stream("threads.create", input=message("Another one")) as chat:
            await chat.read_until(b"stream_options")
        refused = await user.post("threads.retry_after_item", thread_id=thread_id, item_id=message_id)
        assert code_of(refused) == (429, "too_many_runs")
        assert (await user.post("items.list", thread_id=thread_id)).json() == before


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("attachments.create", {"name": "a.txt", "size": 3, "mime_type": "text/plain"}),
        ("attachments.delete", {"attachment_id": "atc_1"}),
        ("input.transcribe", {"audio_base64": "!", "mime_type": "audio/webm"}),
        ("threads.add_structured_input", {"thread_id": "thr_1", "item_id": "msg_1", "input": {}}),
        ("threads.create", {"input": message("Hello", attachments=["atc_1"])}),
    ],
)
async def test_what_is_not_supported_says_so(system: System, kind: str, params: dict[str, Any]) -> None:
    assert code_of(await system.user().post(kind, **params)) == (501, "not_supported")


async def test_feedback_is_stored_for_all_items_or_for_none(system: System) -> None:
    user = system.user()
    thread_id, message_id = await start_thread(system, user)
    answer_id = (await user.post("items.list", thread_id=thread_id)).json()["data"][0]["id"]
    history = system.history_of()

    unknown = await user.post("items.feedback", thread_id=thread_id, item_ids=[answer_id, "msg_1"], kind="positive")
    assert code_of(unknown) == (404, "item_not_found")
    malformed = await user.post("items.feedback", thread_id=thread_id, item_ids=[answer_id, "a/b"], kind="positive")
    assert code_of(malformed) == (422, "invalid_request")
    none = await user.post("items.feedback", thread_id=thread_id, item_ids=[], kind="positive")
    assert code_of(none) == (422, "invalid_request")
    assert (await history.list_feedback(thread_id)).data == []

    for kind in ("positive", "negative"):
        stored = await user.post("items.feedback", thread_id=thread_id, item_ids=[answer_id, message_id], kind=kind)
        assert (stored.status_code, stored.json()) == (200, {})
    feedback = (await history.list_feedback(thread_id)).data
    assert [(row.item_id, row.kind) for row in feedback] == [(message_id, "negative"), (answer_id, "negative")]


async def test_unknown_actions_are_refused(system: System) -> None:
    user = system.user()
    thread_id, message_id = await start_thread(system, user)
    widget_id = await put_widget(system, thread_id)
    action = {"type": "no.such", "payload": None}
    for kind in ("threads.custom_action", "threads.sync_custom_action"):
        for item_id in (widget_id, None):
            response = await user.post(kind, thread_id=thread_id, item_id=item_id, action=action)
            assert code_of(response) == (422, "unknown_action")
    # A sender that is no widget: the SDK has an event for it in one case, and an exception in the other.
    streamed = await user.post("threads.custom_action", thread_id=thread_id, item_id=message_id, action=action)
    assert '"type":"error"' in streamed.text
    refused = await user.post("threads.sync_custom_action", thread_id=thread_id, item_id=message_id, action=action)
    assert code_of(refused) == (409, "item_conflict")


def about(thread_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Return a request of each kind that names a thread."""
    action = {"type": "any", "payload": None}
    return [
        ("threads.get_by_id", {"thread_id": thread_id}),
        ("threads.update", {"thread_id": thread_id, "title": "Mine"}),
        ("threads.delete", {"thread_id": thread_id}),
        ("items.list", {"thread_id": thread_id}),
        ("threads.add_user_message", {"thread_id": thread_id, "input": message("Hello")}),
        ("threads.add_client_tool_output", {"thread_id": thread_id, "result": 1}),
        ("threads.retry_after_item", {"thread_id": thread_id, "item_id": "msg_1"}),
        ("items.feedback", {"thread_id": thread_id, "item_ids": ["msg_1"], "kind": "positive"}),
        ("threads.custom_action", {"thread_id": thread_id, "action": action}),
        ("threads.sync_custom_action", {"thread_id": thread_id, "action": action}),
    ]


async def test_somebody_elses_thread_is_forbidden_and_an_unknown_one_not_found(system: System) -> None:
    thread_id, _ = await start_thread(system, system.user("alice"))
    mallory = system.user("mallory")
    for kind, params in about(thread_id):
        assert code_of(await mallory.post(kind, **params)) == (403, "conversation_forbidden"), kind
    for kind, params in about(new_id("thr")):
        assert code_of(await mallory.post(kind, **params)) == (404, "conversation_not_found"), kind
    assert (await mallory.post("threads.list")).json()["data"] == []
    assert len((await system.history_of("alice").list_items(thread_id)).data) == 2


async def test_somebody_elses_run_is_forbidden_and_an_unknown_one_not_found(system: System) -> None:
    async with system.user("alice").stream("threads.create", input=message("Hello")) as chat:
        await chat.read_until(b"stream_options")
    headers = system.user("mallory").headers
    assert code_of(await system.http.get(f"/runs/{chat.run_id}/events", headers=headers)) == (403, "run_forbidden")
    assert code_of(await system.http.get(f"/runs/{new_id('run')}/events", headers=headers)) == (404, "run_not_found")


async def test_items_that_do_not_fit_the_request(system: System) -> None:
    user = system.user()
    thread_id, _ = await start_thread(system, user)
    answer_id = (await user.post("items.list", thread_id=thread_id)).json()["data"][0]["id"]
    retried = await user.post("threads.retry_after_item", thread_id=thread_id, item_id=answer_id)
    assert code_of(retried) == (409, "item_conflict")
    retried = await user.post("threads.retry_after_item", thread_id=thread_id, item_id=new_id("msg"))
    assert code_of(retried) == (404, "item_not_found")
    output = await user.post("threads.add_client_tool_output", thread_id=thread_id, result=1)
    assert code_of(output) == (409, "item_conflict")
    assert len((await system.history_of().list_items(thread_id)).data) == 2


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", []),
        (b"not json", []),
        (b"[]", []),
        (b"{}", []),
        (b'{"type":"threads.fly","params":{}}', []),
        (b'{"type":"threads.create"}', ["threads.create", "params"]),
        (b'{"type":"threads.create","params":{"input":{"content":"x"}}}', ["threads.create", "params", "input"]),
        (b'{"type":"threads.get_by_id","params":{"thread_id":""}}', ["params", "thread_id"]),
        (b'{"type":"threads.get_by_id","params":{"thread_id":".."}}', ["params", "thread_id"]),
        (b'{"type":"threads.get_by_id","params":{"thread_id":"a/b"}}', ["params", "thread_id"]),
        (b'{"type":"threads.get_by_id","params":{"thread_id":"\\ud800"}}', []),
    ],
)
async def test_a_malformed_request_says_where(system: System, body: bytes, place: list[str]) -> None:
    response = await system.http.post("/chatkit", content=body, headers=system.user().headers)
    assert code_of(response) == (422, "invalid_request")
    errors = response.json()["errors"]
    assert errors[0]["loc"][: len(place)] == place


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
async def test_text_that_cannot_be_stored_is_refused(system: System, text: str) -> None:
    body = {"type": "threads.create", "params": {"input": message("TEXT")}}
    content = httpx.Request("POST", "http://x", json=body).content.replace(b"TEXT", ascii(text)[1:-1].encode())
    content = content.replace(b"\\x00", b"\\u0000")
    response = await system.http.post("/chatkit", content=content, headers=system.user().headers)
    assert code_of(response) == (422, "invalid_request")


async def test_a_title_that_is_too_long_is_refused(system: System) -> None:
    user = system.user()
    thread_id, _ = await start_thread(system, user)
    response = await user.post("threads.update", thread_id=thread_id, title="x" * 201)
    assert code_of(response) == (422, "invalid_request")


async def test_an_oversized_request_is_refused(system: System) -> None:
    response = await system.user().post("threads.create", input=message("x" * 1024 * 1024))
    assert code_of(response) == (413, "payload_too_large")


@pytest.mark.parametrize("cursor", ["x", "1", "-1-1", "1-", "1-1-1", "9" * 40 + "-1"])
async def test_a_malformed_cursor_is_refused(system: System, cursor: str) -> None:
    headers = system.user().headers | {"Last-Event-ID": cursor}
    response = await system.http.get(f"/runs/{new_id('run')}/events", headers=headers)
    assert code_of(response) == (422, "invalid_request")


async def test_callers_without_the_scope_are_refused(system: System) -> None:
    def of(signer: TokenSigner, *scopes: str, user_id: str | None = "alice") -> dict[str, str]:
        return {"Authorization": "Bearer " + signer.sign("chat-service", scopes, user_id=user_id)}

    gateway = system.senders.signer("gateway")
    worker = system.senders.signer("agent-worker")
    for headers, expected in [
        ({}, (401, "token_missing")),
        ({"Authorization": "Bearer x"}, (401, "token_invalid")),
        (of(worker, "chat"), (401, "token_invalid")),
        (of(gateway), (403, "scope_missing")),
        (of(gateway, "chat", user_id=None), (403, "scope_missing")),
    ]:
        for method, path in [("POST", "/chatkit"), ("GET", "/runs/run_1/events"), ("GET", "/model")]:
            assert code_of(await system.http.request(method, path, headers=headers)) == expected


async def test_without_the_history_service_requests_are_refused_and_readiness_says_so(redis_url: str) -> None:
    nowhere, impatient = "postgresql://nobody@127.0.0.1:1/none", {"database_wake_seconds": 0.1}
    async with running_system(nowhere, redis_url, history=impatient) as system:
        user: User = system.user()
        for kind, params in [*about("thr_1"), ("threads.create", {"input": message("Hello")})]:
            status, code = code_of(await user.post(kind, **params))
            assert (status, code) == (503, "upstream_unavailable"), kind
        ready = await system.http.get("/readyz")
        assert (ready.status_code, ready.json()["down"]) == (503, ["history-service"])
        assert (await system.http.get("/healthz")).status_code == 200


async def test_readiness_and_the_model(system: System) -> None:
    assert (await system.http.get("/readyz")).json()["dependencies"] == ["history-service", "redis"]
    model = (await system.http.get("/model", headers=system.user().headers)).json()
    assert model == {"provider": "demo", "model": None, "demo": True}
