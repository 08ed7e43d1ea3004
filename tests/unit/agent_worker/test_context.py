import json

from agent_worker.context import TITLE_LENGTH, title_of, to_input, unfinished_calls
from contracts.conversations import ToolCall
from contracts.runs import ContextMessage


def message(role: str, content: str, *calls: ToolCall, run_id: str | None = None) -> ContextMessage:
    kind = "widget" if calls else f"{role}_message"
    return ContextMessage.model_validate(
        {"id": "msg_1", "role": role, "kind": kind, "content": content, "tool_calls": calls, "run_id": run_id}
    )


def test_a_tool_call_stands_right_before_its_output() -> None:
    call = ToolCall(id="c1", name="add_task", arguments={"title": "milk"}, output='{"task": {}}', status="completed")
    items = to_input([message("user", "add milk"), message("assistant", "Add task: Success", call)])
    assert [item.get("type") for item in items] == ["message", "function_call", "function_call_output"]
    assert json.loads(str(items[1].get("arguments"))) == {"title": "milk"}
    assert items[2].get("output") == '{"task": {}}'


def test_a_call_without_a_result_is_told_as_interrupted() -> None:
    call = ToolCall(id="c1", name="add_task")
    output = to_input([message("assistant", "", call)])[1]
    assert "interrupted" in str(output)


def test_a_result_that_came_later_replaces_the_missing_one() -> None:
    call = ToolCall(id="c1", name="add_task")
    done = call.model_copy(update={"output": "done", "status": "completed"})
    assert to_input([message("assistant", "", call)], {"c1": done})[1].get("output") == "done"


def test_only_the_runs_own_intents_are_to_be_finished() -> None:
    mine, foreign = ToolCall(id="c1", name="add_task"), ToolCall(id="c2", name="add_task")
    done = ToolCall(id="c3", name="add_task", output="", status="completed")
    context = [
        message("assistant", "", foreign, run_id="run_other"),
        message("assistant", "", mine, run_id="run_1"),
        message("assistant", "", done, run_id="run_1"),
    ]
    assert [call.id for _, call in unfinished_calls(context, "run_1")] == ["c1"]


def test_a_title_is_the_first_user_message_cut_at_a_word() -> None:
    assert title_of([message("assistant", "hi"), message("user", " buy \n milk ")]) == "buy milk"
    long = title_of([message("user", "word " * 40)])
    assert long is not None
    assert long.endswith("word…")
    assert len(long) <= TITLE_LENGTH + 1
    assert title_of([message("user", "   ")]) is None
