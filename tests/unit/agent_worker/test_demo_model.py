import json
from typing import Any

import pytest

from agent_worker.models.demo import decide
from agent_worker.models.demo_answers import INTRODUCTION
from agent_worker.models.demo_language import Intent


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def exchange(call_id: str, name: str, arguments: dict[str, Any], output: str) -> list[dict[str, Any]]:
    return [
        {"type": "function_call", "call_id": call_id, "name": name, "arguments": json.dumps(arguments)},
        {"type": "function_call_output", "call_id": call_id, "output": output},
    ]


def decided(*items: dict[str, Any]) -> Intent | str:
    return decide(items)  # pyright: ignore[reportArgumentType] - plain dicts are what the SDK passes


def added(number: int) -> list[dict[str, Any]]:
    task = json.dumps({"task": {"title": f"task {number}"}})
    return exchange(f"c{number}", "add_task", {"title": f"task {number}"}, task)


def test_words_are_the_numbers_separated_by_blanks() -> None:
    assert decided(user("/words 5")) == "1 2 3 4 5"


def test_add_makes_one_call_after_another_then_a_summary() -> None:
    assert decided(user("/add 2")) == Intent("add_task", {"title": "task 1"})
    assert decided(user("/add 2"), *added(1)) == Intent("add_task", {"title": "task 2"})
    assert decided(user("/add 2"), *added(1), *added(2)) == "I added 2 tasks."


def test_a_failed_call_is_told_in_the_summary() -> None:
    failed = exchange("c1", "add_task", {"title": "task 1"}, "The title is too long.")
    assert decided(user("/add 1"), *failed) == "I added 0 tasks. 1 did not work."


def test_it_answers_with_what_the_tool_said() -> None:
    output = json.dumps({"task": {"id": "task_1", "title": "buy milk"}})
    asked = user("Add a task to buy milk")
    assert decided(asked) == Intent("add_task", {"title": "buy milk"})
    answer = decided(asked, *exchange("c1", "add_task", {"title": "buy milk"}, output))
    assert answer == "Done. I added “buy milk” to your list."


def test_it_does_not_claim_what_failed() -> None:
    answer = decided(user("Delete x"), *exchange("c1", "delete_task", {"task": "x"}, "There is no task “x”."))
    assert answer == "That did not work: There is no task “x”."


def test_only_the_newest_turn_counts() -> None:
    assert decided(user("/add 1"), *added(1), user("hello")) == INTRODUCTION


@pytest.mark.parametrize("output", ["[1]", "null", '"text"', "{}"])
def test_unexpected_output_is_reported_not_swallowed(output: str) -> None:
    answer = decided(user("list my tasks"), *exchange("c1", "list_tasks", {}, output))
    assert isinstance(answer, str)
    assert answer.startswith("That did not work")
