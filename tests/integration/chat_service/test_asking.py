"""The main chat endpoint: a message in, the whole answer out; the same key, the same run."""

import asyncio
from typing import Any

import httpx
import pytest

from contracts.conversations import JsonObject, ToolCall
from contracts.ids import new_id
from contracts.runs import RunError
from tests.integration.chat_service.system import StreamedChat, System, User, events_of, running_system
from tests.integration.chat_service.test_requests import code_of
from tests.support.history import tool_widget


async def say(system: System, body: JsonObject, user: User | None = None, **headers: str) -> httpx.Response:
    """Post to the endpoint and wait for its answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await system.http.post("/chat", json=body, headers=(user or system.user()).headers | named)


def asked(system: System, message: str, **more: Any) -> asyncio.Task[httpx.Response]:
    """Post in the background."""
    return asyncio.create_task(say(system, {"message": message, **more}))


async def answered(system: System, task: asyncio.Task[httpx.Response], text: str) -> JsonObject:
    """Let the worker answer what was asked; returns the answer."""
    worker = await system.worker.claim_soon()
    await system.worker.say(worker.run_id, new_id("msg"), text)
    await system.worker.finish(worker.run_id)
    response = await task
    assert (response.status_code, response.headers["x-run-id"]) == (200, worker.run_id), response.text
    return response.json()


async def test_a_message_is_answered_when_its_run_has_ended(system: System) -> None:
    first = await answered(system, asked(system, "Hello"), "Hi there")
    assert (first["answer"], first["tool_calls"], first["run"]["status"]) == ("Hi there", [], "completed")
    second = await answered(system, asked(system, "And?", conversation_id=first["conversation_id"]), "Again!")
    assert (second["answer"], second["conversation_id"]) == ("Again!", first["conversation_id"])
    stored = await system.history_of().list_messages(first["conversation_id"])
    assert [row.content for row in stored.data] == ["Hello", "Hi there", "And?", "Again!"]


async def test_the_answer_has_the_tool_calls_of_its_run_alone(system: System) -> None:
    task = asked(system, "Add milk")
    worker = await system.worker.claim_soon()
    thread_id = system.worker.conversation_of(worker.run_id)
    call = ToolCall(id="c1", name="add_task", arguments={"title": "milk"}, output="Added.", status="completed")
    await system.worker.store(worker.run_id, tool_widget(thread_id, call).payload, call)
    await system.worker.finish(worker.run_id)
    answer = (await task).json()
    assert [ToolCall.model_validate(one) for one in answer["tool_calls"]] == [call]
    later = await answered(system, asked(system, "Thanks", conversation_id=thread_id), "You're welcome")
    assert later["tool_calls"] == []


async def test_a_failed_run_tells_why(system: System) -> None:
    task = asked(system, "Hello")
    worker = await system.worker.claim_soon()
    await system.worker.finish(worker.run_id, error=RunError(code="model_failed", message="The model failed."))
    answer = (await task).json()
    assert (answer["run"]["status"], answer["run"]["error"]["code"], answer["answer"]) == ("failed", "model_failed", "")


async def test_after_its_time_it_answers_with_what_there_is(database_url: str, redis_url: str) -> None:
    async with running_system(database_url, redis_url, chat_answer_seconds=0.05) as system:
        response = await say(system, {"message": "Hello"})
        assert (response.status_code, response.json()["run"]["status"]) == (202, "queued")
        assert (await system.history_of().get_run(response.headers["x-run-id"])).status == "queued"


async def test_with_events_accepted_the_run_is_streamed(system: System) -> None:
    headers = system.user().headers | {"Accept": "text/event-stream"}
    async with system.http.stream("POST", "/chat", json={"message": "Hello"}, headers=headers) as response:
        chat = StreamedChat(response)
        worker = await system.worker.claim_soon()
        assert worker.run_id == chat.run_id
        await system.worker.say(worker.run_id, new_id("msg"), "Hi there")
        await system.worker.finish(worker.run_id)
        await chat.read()
    kinds = [event["type"] for event in events_of(bytes(chat.received))]
    assert kinds == ["run.in_progress", "thread.item.done", "run.completed"]


async def test_the_same_key_gives_the_same_run(system: System) -> None:
    task = asyncio.create_task(say(system, {"message": "Hello"}, Idempotency_Key="key-1"))
    first = await answered(system, task, "Hi there")
    again = await say(system, {"message": "Hello"}, Idempotency_Key="key-1")
    assert (again.status_code, again.json()) == (200, first)
    other = await say(system, {"message": "Other"}, Idempotency_Key="key-1")
    assert code_of(other) == (422, "idempotency_key_reused")
    elsewhere = {"message": "Hello", "conversation_id": new_id("thr")}
    assert code_of(await say(system, elsewhere, Idempotency_Key="key-1")) == (404, "conversation_not_found")


async def test_keys_are_each_users_own(database_url: str, redis_url: str) -> None:
    async with running_system(database_url, redis_url, chat_answer_seconds=0.05) as system:
        runs = [
            (await say(system, {"message": "Hello"}, system.user(name), Idempotency_Key="key")).headers["x-run-id"]
            for name in ("alice", "mallory", "alice")
        ]
    assert runs[0] == runs[2] != runs[1]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, ["message"]),
        ({"message": ""}, ["message"]),
        ({"message": "x", "conversation_id": "../x"}, ["conversation_id"]),
        ({"message": "x", "user_id": "bob"}, ["user_id"]),
        ([], []),
    ],
)
async def test_what_is_malformed_is_refused(system: System, body: Any, place: list[str]) -> None:
    refused = await say(system, body)
    assert code_of(refused) == (422, "invalid_request")
    assert refused.json()["errors"][0]["loc"] == place


async def test_somebody_elses_conversation_is_forbidden_and_an_unknown_one_not_found(system: System) -> None:
    mine = await answered(system, asked(system, "Hello"), "Hi")
    body = {"message": "Hello", "conversation_id": mine["conversation_id"]}
    assert code_of(await say(system, body, system.user("mallory"))) == (403, "conversation_forbidden")
    assert code_of(await say(system, {**body, "conversation_id": new_id("thr")})) == (404, "conversation_not_found")
