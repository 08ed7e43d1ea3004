"""The main story over HTTP: a message goes all the way, and stays."""

from typing import Any

import httpx

from tests.support.chatkit import ChatKitClient
from tests.support.servers import eventually
from tests.support.system import System

ADDED = "Done. I added “buy milk” to your list."


async def test_a_message_goes_all_the_way(system: System, user_id: str) -> None:
    async with system.client(user_id) as http:
        chat = ChatKitClient(http, user_id)
        async with chat.say("Add a task to buy milk") as answer:
            await answer.to_the_end()

        assert answer.badges() == ["Running", "Success"]
        assert answer.text == ADDED
        kinds = [event["type"] for event in answer.events]
        assert kinds[0] == "thread.created"
        assert {"type": "progress_update", "text": "Thinking…"} in answer.events
        assert "client_effect" in kinds
        assert "error" not in kinds

        thread = await chat.ask("threads.get_by_id", thread_id=answer.thread_id)
        assert thread["title"] == "Add a task to buy milk"
        assert [item["type"] for item in thread["items"]["data"]] == ["user_message", "widget", "assistant_message"]
        # What was streamed as done is what a reload shows.
        assert {item["id"]: item for item in thread["items"]["data"]} == answer.items

        messages = (await http.get(f"/api/{user_id}/conversations/{answer.thread_id}/messages?order=asc")).json()[
            "data"
        ]
        assert [message["id"] for message in messages] == list(answer.items)
        assert [message["role"] for message in messages] == ["user", "assistant", "assistant"]
        assert messages[0]["content"] == "Add a task to buy milk"
        assert messages[2]["content"] == ADDED
        assert all(isinstance(message["tool_calls"], list) for message in messages)
        (call,) = messages[1]["tool_calls"]
        assert (call["name"], call["status"]) == ("add_task", "completed")
        assert call["arguments"] == {"title": "buy milk"}

        tasks = (await http.get(f"/api/{user_id}/tasks")).json()["data"]
        assert [(task["title"], task["status"]) for task in tasks] == [("buy milk", "pending")]

        run = (await http.get(f"/api/{user_id}/runs/{answer.run_id}")).json()
        assert (run["status"], run["attempt"]) == ("completed", 1)


async def test_a_message_is_answered_by_the_main_chat_endpoint(system: System, user_id: str) -> None:
    async with system.client(user_id) as http:
        said = {"message": "Add a task to buy milk"}
        first = await http.post(f"/api/{user_id}/chat", json=said, headers={"Idempotency-Key": "1"})
        answer = first.raise_for_status().json()
        assert (answer["answer"], answer["run"]["status"]) == (ADDED, "completed")
        assert [(call["name"], call["status"]) for call in answer["tool_calls"]] == [("add_task", "completed")]
        again = await http.post(f"/api/{user_id}/chat", json=said, headers={"Idempotency-Key": "1"})
        assert again.json() == answer
        tasks = (await http.get(f"/api/{user_id}/tasks")).json()["data"]
        assert [task["title"] for task in tasks] == ["buy milk"]


async def test_the_five_tools_work_and_a_failure_says_so(system: System, user_id: str) -> None:
    steps = [
        ("Add a task to buy milk", "Success"),
        ("Rename buy milk to buy oat milk", "Success"),
        ("Mark buy oat milk as done", "Success"),
        ("What is on my list?", "Success"),
        ("Delete buy bread", "Failed"),
    ]
    async with system.client(user_id) as http:
        chat = ChatKitClient(http, user_id)
        thread_id: str | None = None
        for sentence, badge in steps:
            async with chat.say(sentence, thread_id) as answer:
                await answer.to_the_end()
            thread_id = answer.thread_id
            assert answer.badges() == ["Running", badge], sentence
        (task,) = (await http.get(f"/api/{user_id}/tasks")).json()["data"]
        assert (task["title"], task["completed"]) == ("buy oat milk", True)
        async with chat.say("Delete buy oat milk", thread_id) as answer:
            assert "gone" in (await answer.to_the_end()).text
        assert (await http.get(f"/api/{user_id}/tasks")).json()["data"] == []


async def test_no_token_waits_for_the_end_of_the_answer(system: System, user_id: str) -> None:
    async with system.client(user_id) as http:
        chat = ChatKitClient(http, user_id)
        async with chat.say("/words 100") as answer:
            await answer.until(lambda answer: bool(answer.delta_times))
            run = (await http.get(f"/api/{user_id}/runs/{answer.run_id}")).json()
            assert run["status"] == "in_progress", "the first text is here while the model still speaks"
            await answer.to_the_end()
    assert answer.text == " ".join(str(number) for number in range(1, 101))
    # At 50 tokens a second and a flush every 40 ms, two tokens come together: far more arrivals than one.
    assert len(answer.delta_times) > 20
    first, last = answer.delta_times[0], answer.delta_times[-1]
    assert last - first > 1.0, "the text came over about two seconds, as the model spoke"


async def test_the_model_sees_the_conversation_so_far(system: System, user_id: str) -> None:
    async with system.client(user_id) as http:
        chat = ChatKitClient(http, user_id)
        async with chat.say("/add 3") as answer:
            await answer.to_the_end()
        assert answer.text == "I added 3 tasks."
        async with chat.say("hello", answer.thread_id) as again:
            assert "demo model" in (await again.to_the_end()).text
        items = await chat.ask("items.list", thread_id=answer.thread_id, order="asc", limit=100)
        kinds = [item["type"] for item in items["data"]]
        assert kinds == ["user_message", *["widget"] * 3, "assistant_message", "user_message", "assistant_message"]
        titles = {task["title"] for task in (await http.get(f"/api/{user_id}/tasks")).json()["data"]}
        assert titles == {"task 1", "task 2", "task 3"}


async def test_closing_the_connection_does_not_stop_the_run(system: System, user_id: str) -> None:
    async with system.client(user_id) as http:
        chat = ChatKitClient(http, user_id)
        async with chat.say("/words 50") as answer:
            await answer.until(lambda answer: bool(answer.delta_times))
            thread_id, run_id = answer.thread_id, answer.run_id
        run = await _finished(http, user_id, run_id)
        assert run["status"] == "completed"
        thread = await chat.ask("threads.get_by_id", thread_id=thread_id)
        text = thread["items"]["data"][-1]["content"][0]["text"]
        assert text == " ".join(str(number) for number in range(1, 51))


async def test_a_cancelled_run_ends_the_stream_and_keeps_its_text(system: System, user_id: str) -> None:
    async with system.client(user_id) as http:
        chat = ChatKitClient(http, user_id)
        async with chat.say("/words 5000") as answer:
            await answer.until(lambda answer: len(answer.delta_times) > 2)
            stopped = await http.post(f"/api/{user_id}/runs/{answer.run_id}/cancel")
            assert stopped.status_code == 200
            await answer.to_the_end()
        run = await _finished(http, user_id, answer.run_id)
        assert run["status"] == "cancelled"
        again = await http.post(f"/api/{user_id}/runs/{answer.run_id}/cancel")
        assert again.json() == run
        thread = await chat.ask("threads.get_by_id", thread_id=answer.thread_id)
        assert {item["id"]: item for item in thread["items"]["data"]} == answer.items
        text = thread["items"]["data"][-1]["content"][0]["text"]
        assert text == answer.text
        assert text.startswith("1 2 3 ")


async def _finished(http: httpx.AsyncClient, user_id: str, run_id: str) -> dict[str, Any]:
    run: dict[str, Any] = {}

    async def is_over() -> bool:
        run.update((await http.get(f"/api/{user_id}/runs/{run_id}")).json())
        return run["status"] in {"completed", "failed", "cancelled"}

    await eventually(is_over, seconds=30, what="the run ends")
    return run
