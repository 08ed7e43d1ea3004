"""What the demo model says: honest, short sentences about what a tool answered. Pure."""

import json
from typing import Any, cast

from contracts.conversations import JsonObject

INTRODUCTION = (
    "I am Threadkeep's built-in demo model: no AI, just a few rules about your todo list. "
    "Try “Add a task to buy milk”, “What is on my list?”, “Mark buy milk as done”, “Rename buy milk to buy oat milk” "
    "or “Delete buy milk”. To talk to a real model, set OPENAI_API_KEY (or MODEL_BASE_URL and MODEL) and start again."
)


def answer_to(tool: str, arguments: JsonObject, output: str) -> str:
    """Say what a tool call did, from its output (JSON of `task_tools`, or a sentence that says why not)."""
    result = _object(output)
    task = result.get("task")
    if isinstance(task, dict):
        title = str(cast("JsonObject", task).get("title", ""))
        return _about_task(tool, arguments, title)
    if isinstance(tasks := result.get("tasks"), list):
        return _about_list(cast("list[JsonObject]", tasks), str(arguments.get("status", "all")))
    return f"That did not work: {output.strip() or 'the tool gave no answer'}"


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _about_task(tool: str, arguments: JsonObject, title: str) -> str:
    match tool:
        case "add_task":
            return f"Done. I added “{title}” to your list."
        case "complete_task" if arguments.get("completed") is False:
            return f"“{title}” is open again."
        case "complete_task":
            return f"Well done! “{title}” is completed."
        case "update_task":
            return f"Changed. The task is now “{title}”."
        case "delete_task":
            return f"“{title}” is gone from your list."
        case _:
            return f"Done: “{title}”."


def _about_list(tasks: list[JsonObject], status: str) -> str:
    kind = "" if status == "all" else f"{status} "
    if not tasks:
        return f"You have no {kind}tasks." if kind else "Your list is empty. Tell me what to add."
    count = f"{len(tasks)} {kind}task{'s' if len(tasks) != 1 else ''}"
    lines = [f"- {'✓ ' if task.get('completed') else ''}{task.get('title', '')}" for task in tasks]
    return f"You have {count}:\n\n" + "\n".join(lines)
