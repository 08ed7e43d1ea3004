import pytest

from agent_worker.models.demo_language import MAX_SENTENCE_LENGTH, Intent, understand


def add(title: str) -> Intent:
    return Intent("add_task", {"title": title})


def complete(task: str, *, completed: bool = True) -> Intent:
    return Intent("complete_task", {"task": task, "completed": completed})


def tasks(status: str) -> Intent:
    return Intent("list_tasks", {"status": status})


@pytest.mark.parametrize(
    ("sentence", "intent"),
    [
        ("Add a task to buy milk", add("buy milk")),
        ("add buy milk to my list", add("buy milk")),
        ("Please add “call mum”.", add("call mum")),
        ("create a task: write report", add("write report")),
        ("Can you please add a task called 'fix bike'?", add("fix bike")),
        ("Remind me to water the plants", add("water the plants")),
        ("I need to call the bank", add("call the bank")),
        ("put eggs on my list", add("eggs")),
        ("add task 3", add("task 3")),
        ("What is on my list?", tasks("all")),
        ("what's on my to-do list", tasks("all")),
        ("show completed tasks", tasks("completed")),
        ("Which tasks are left?", tasks("pending")),
        ("Mark buy milk as done", complete("buy milk")),
        ("check off buy milk", complete("buy milk")),
        ("I've finished buy milk!", complete("buy milk")),
        ("buy milk is done", complete("buy milk")),
        ("reopen buy milk", complete("buy milk", completed=False)),
        ("mark buy milk as not done", complete("buy milk", completed=False)),
        ("Rename buy milk to buy oat milk", Intent("update_task", {"task": "buy milk", "title": "buy oat milk"})),
        ("Delete task 3", Intent("delete_task", {"task": "task 3"})),
        ("remove the task buy milk from my list", Intent("delete_task", {"task": "buy milk"})),
        ("take buy milk off my list", Intent("delete_task", {"task": "buy milk"})),
    ],
)
def test_sentences_about_the_list_become_tool_calls(sentence: str, intent: Intent) -> None:
    assert understand(sentence) == intent


@pytest.mark.parametrize("sentence", ["hello", "tell me a joke", "", "???", "Add a task", "what is the weather"])
def test_other_sentences_become_nothing(sentence: str) -> None:
    assert understand(sentence) is None


def test_a_long_message_is_not_taken_for_a_task() -> None:
    assert understand("add " + "x" * MAX_SENTENCE_LENGTH) is None
