"""Callers who are kept to one thread: every request type there and elsewhere, and runs."""

from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

import httpx
from chatkit.types import ChatKitReq

from chat_service.services.restriction import RULES
from contracts import principal as scopes
from contracts.ids import new_id
from tests.integration.chat_service.system import System, User, message
from tests.integration.chat_service.test_chat import start_thread
from tests.integration.chat_service.test_requests import code_of

NOT_ALLOWED = (403, "thread_not_allowed")
TYPES = {kind.model_fields["type"].default: kind for kind in get_args(get_args(ChatKitReq)[0])}
"""The SDK's request types by name."""


class ThreadUser(User):
    """Somebody whom the gateway keeps to one thread."""

    def __init__(self, system: System, thread_id: str, user_id: str = "alice") -> None:
        signer = system.senders.signer("gateway")
        super().__init__(user_id, system.http, signer)
        self._token = signer.sign("chat-service", [scopes.CHAT], user_id=user_id, thread_id=thread_id)

    @property
    def headers(self) -> dict[str, str]:
        """The token for the thread."""
        return {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}

    async def send(self, method: str, path: str, **json: Any) -> httpx.Response:
        """Send a request and read the answer; of a stream, the head."""
        async with self._http.stream(method, path, json=json, headers=self.headers) as response:
            if not response.headers["content-type"].startswith("text/event-stream"):
                await response.aread()
            return response

    async def ask(self, kind: str, parameters: dict[str, Any]) -> httpx.Response:
        """Send a ChatKit request."""
        return await self.send("POST", "/chatkit", type=kind, params=parameters)


@dataclass(frozen=True)
class Place:
    """A thread and a user message in it."""

    thread_id: str
    message_id: str


ACTION: dict[str, Any] = {"type": "run.resume", "payload": {}}
NOT_SUPPORTED = (501, "not_supported")
CASES: dict[str, tuple[dict[str, Any], int | tuple[int, str]]] = {
    "threads.get_by_id": ({}, 200),
    "threads.create": ({"input": message("Hello")}, NOT_ALLOWED),
    "threads.list": ({}, 200),
    "threads.add_user_message": ({"input": message("Hello again")}, 200),
    "threads.add_client_tool_output": ({"result": {}}, (409, "item_conflict")),
    "threads.add_structured_input": ({"item_id": "msg_1", "input": {}}, NOT_SUPPORTED),
    "threads.custom_action": ({"action": ACTION}, 200),
    "threads.sync_custom_action": ({"action": ACTION}, (422, "unknown_action")),
    "threads.retry_after_item": ({"item_id": "<message>"}, 200),
    "items.list": ({}, 200),
    "items.feedback": ({"item_ids": ["<message>"], "kind": "positive"}, 200),
    "attachments.create": ({"name": "a", "size": 1, "mime_type": "text/plain"}, NOT_ALLOWED),
    "attachments.delete": ({"attachment_id": "atc_1"}, NOT_ALLOWED),
    "input.transcribe": ({"audio_base64": "", "mime_type": "audio/webm"}, NOT_SUPPORTED),
    "threads.update": ({"title": "Mine"}, 200),
    "threads.delete": ({}, 200),
}
"""By request type: its parameters, and how it is answered to a caller who is kept to the thread that it names."""


def _parameters(kind: str, place: Place) -> dict[str, Any]:
    named = {"thread_id": place.thread_id} if "thread_id" in _fields(kind) else {}
    filled = {
        name: place.message_id if value == "<message>" else [place.message_id] if value == ["<message>"] else value
        for name, value in CASES[kind][0].items()
    }
    return named | filled


def _fields(kind: str) -> set[str]:
    return set(get_type_hints(TYPES[kind])["params"].model_fields)


def test_it_is_decided_for_every_request_type_what_one_thread_means() -> None:
    assert len(TYPES) == 16
    assert RULES.keys() == TYPES.keys() == CASES.keys()
    for kind, rule in RULES.items():
        assert (rule == "names its thread") == ("thread_id" in _fields(kind)), kind


async def test_every_request_type_works_in_the_thread_and_nowhere_else(system: System) -> None:
    own, other = [Place(*await start_thread(system, system.user())) for _ in range(2)]
    user = ThreadUser(system, own.thread_id)
    untouched = (await system.user().post("threads.get_by_id", thread_id=other.thread_id)).json()
    for kind, (_, expected) in CASES.items():
        if "thread_id" in _fields(kind):
            assert code_of(await user.ask(kind, _parameters(kind, other))) == NOT_ALLOWED, kind
        answer = await user.ask(kind, _parameters(kind, own))
        assert (answer.status_code if expected == 200 else code_of(answer)) == expected, kind
        if "x-run-id" in answer.headers:
            await system.history_of().cancel_run(answer.headers["x-run-id"])
    assert (await system.user().post("threads.get_by_id", thread_id=other.thread_id)).json() == untouched
    listed = (await system.user().post("threads.list")).json()["data"]
    assert [thread["id"] for thread in listed] == [other.thread_id]


async def test_items_of_another_thread_are_not_reached_through_the_own_one(system: System) -> None:
    own, other = [Place(*await start_thread(system, system.user())) for _ in range(2)]
    user = ThreadUser(system, own.thread_id)
    untouched = (await system.user().post("threads.get_by_id", thread_id=other.thread_id)).json()
    named = {"item_id": other.message_id}
    both = [own.message_id, other.message_id]
    for kind, parameters, expected in (
        ("threads.retry_after_item", named, (404, "item_not_found")),
        ("threads.custom_action", {**named, "action": ACTION}, (404, "item_not_found")),
        ("threads.sync_custom_action", {**named, "action": ACTION}, (404, "item_not_found")),
        ("items.feedback", {"item_ids": both, "kind": "positive"}, (404, "item_not_found")),
        ("items.list", {"after": other.message_id}, (422, "invalid_cursor")),
    ):
        answer = await user.ask(kind, {"thread_id": own.thread_id, **parameters})
        assert code_of(answer) == expected, kind
    assert (await system.user().post("threads.get_by_id", thread_id=other.thread_id)).json() == untouched


async def test_a_list_of_threads_has_the_one(system: System) -> None:
    own, _ = await start_thread(system, system.user())
    await start_thread(system, system.user())
    user = ThreadUser(system, own)
    for parameters in ({}, {"limit": 1}, {"order": "asc", "limit": 100}):
        answer = (await user.post("threads.list", **parameters)).json()
        assert ([thread["id"] for thread in answer["data"]], answer["has_more"]) == ([own], False)
    assert (await user.post("threads.list", after=own)).json()["data"] == []
    assert (await ThreadUser(system, new_id("thr")).post("threads.list")).json()["data"] == []


async def test_somebody_elses_thread_stays_theirs(system: System) -> None:
    thread_id, _ = await start_thread(system, system.user())
    mallory = ThreadUser(system, thread_id, "mallory")
    for kind in ("threads.get_by_id", "threads.list", "items.list"):
        parameters = {} if kind == "threads.list" else {"thread_id": thread_id}
        assert code_of(await mallory.post(kind, **parameters)) == (403, "conversation_forbidden")


async def test_runs_of_the_thread_are_open_and_others_are_not(system: System) -> None:
    own, message_id = await start_thread(system, system.user())
    other, other_message = await start_thread(system, system.user())
    user = ThreadUser(system, own)
    runs: dict[str, str] = {}
    for thread_id, item_id in ((own, message_id), (other, other_message)):
        retry = system.user().stream("threads.retry_after_item", thread_id=thread_id, item_id=item_id)
        async with retry as chat:
            runs[thread_id] = chat.run_id
    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancel")):
        refused = await user.send(method, f"/runs/{runs[other]}{path}")
        assert code_of(refused) == NOT_ALLOWED, path
        unknown = await user.send(method, f"/runs/{new_id('run')}{path}")
        assert code_of(unknown) == (404, "run_not_found"), path
    assert (await system.history_of().get_run(runs[other])).status == "queued"

    seen = await user.send("GET", f"/runs/{runs[own]}")
    assert seen.json() == (await system.history_of().get_run(runs[own])).model_dump(mode="json")
    async with user.follow(runs[own]) as followed:
        cancelled = await user.send("POST", f"/runs/{runs[own]}/cancel")
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
        await followed.read()
    assert followed.events[-1]["type"] == "run.cancelled"


async def test_what_does_not_keep_to_a_thread_takes_no_token_for_one(system: System) -> None:
    refused = await ThreadUser(system, "thr_1").send("GET", "/model")
    assert code_of(refused) == (403, "scope_missing")
    signer = system.senders.signer("chat-service")
    token = signer.sign("history-service", ["conversations:read", "runs:read"], user_id="alice", thread_id="thr_1")
    for path in ("/conversations", "/conversations/thr_1/items", "/runs/run_1"):
        url = str(system.chat_settings["history_url"]) + path
        refused = await system.http.get(url, headers={"Authorization": f"Bearer {token}"})
        assert code_of(refused) == (403, "scope_missing"), path
