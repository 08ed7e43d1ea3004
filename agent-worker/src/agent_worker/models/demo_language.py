"""The little English that the demo model understands: a sentence becomes a tool call, or nothing. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from contracts.conversations import JsonObject

_FLAGS = re.IGNORECASE | re.DOTALL
_POLITE = re.compile(
    r"^(?:please|hey|hi|hello|ok(?:ay)?|now|then|and|(?:can|could|would|will) you(?: please)?)[,!]?\s+", _FLAGS
)
_LIST_NAME = r"(?:my |the )?(?:to-?do(?: list)?|task list|tasks|list)"
_TRAILING = re.compile(
    rf"\s+(?:(?:to|on|in|from|off|of) {_LIST_NAME})?\s*(?:,?\s*(?:please|thanks|thank you))?$", _FLAGS
)
_TASK_NOUN = re.compile(r"^(?:(?:a|an|the|my|another|new|this)\s+)*(?:task|to-?do|item|reminder)s?\b\s*", _FLAGS)
_CONNECTIVE = re.compile(
    r"^(?:[:\-–—]|to|that says|called|named|titled|saying|for|about|that i (?:need|have) to)\s+|^[:\-–—]\s*", _FLAGS
)
MAX_SENTENCE_LENGTH = 500
"""Longer messages are not about one task; in characters."""

_QUOTES = "\"'“”‘’«»` \t\n"


@dataclass(frozen=True)
class Intent:
    """A tool call that a sentence asks for."""

    tool: str
    arguments: JsonObject


def title_from(text: str) -> str:
    """Take a task's title out of the words that name it: `a task to buy milk` → `buy milk`."""
    title = _TRAILING.sub("", f"{text.strip()} ").strip().rstrip(".!?").strip()
    noun = _TASK_NOUN.match(title)
    if noun:
        rest = _CONNECTIVE.sub("", title[noun.end() :], count=1)
        title = f"task {rest}" if rest.isdigit() else rest
    return title.strip(_QUOTES)


def _task(tool: str, **more: object) -> Callable[[re.Match[str]], Intent | None]:
    def build(match: re.Match[str]) -> Intent | None:
        title = title_from(match["task"])
        return Intent(tool, {"task": title, **more}) if title else None

    return build


def _add(match: re.Match[str]) -> Intent | None:
    title = title_from(match["task"])
    return Intent("add_task", {"title": title}) if title else None


def _rename(match: re.Match[str]) -> Intent | None:
    title, task = title_from(match["title"]), title_from(match["task"])
    return Intent("update_task", {"task": task, "title": title}) if title and task else None


def _list(match: re.Match[str]) -> Intent | None:
    words = match.group().lower()
    if re.search(r"\b(?:completed?|done|finished)\b", words):
        return Intent("list_tasks", {"status": "completed"})
    if re.search(r"\b(?:pending|open|left|remaining|unfinished|still)\b", words):
        return Intent("list_tasks", {"status": "pending"})
    return Intent("list_tasks", {"status": "all"})


_RULES: list[tuple[re.Pattern[str], Callable[[re.Match[str]], Intent | None]]] = [
    (re.compile(pattern, _FLAGS), build)
    for pattern, build in (
        (r"^(?:rename|change|update|edit|reword)\s+(?P<task>.+?)\s+(?:to|into|as)\s+(?P<title>.+)$", _rename),
        (
            r"^(?:mark|set|check)\s+(?P<task>.+?)\s+(?:as\s+)?"
            r"(?:not (?:done|completed?|finished)|undone|pending|open)$",
            _task("complete_task", completed=False),
        ),
        (r"^(?:reopen|uncheck|undo|uncomplete)\s+(?P<task>.+)$", _task("complete_task", completed=False)),
        (
            r"^(?:mark|set|check|tick)\s+(?P<task>.+?)\s+(?:as\s+|off\s*(?:as\s+)?)?(?:done|completed?|finished|off)$",
            _task("complete_task", completed=True),
        ),
        (
            r"^(?:complete|finish|check off|tick off|i(?:'ve| have)? (?:finished|completed|done)|i(?:'m| am) done with"
            r"|done with)\s+(?P<task>.+)$",
            _task("complete_task", completed=True),
        ),
        (r"^(?P<task>.+?)\s+is\s+(?:done|completed?|finished)$", _task("complete_task", completed=True)),
        (r"^(?:delete|remove|drop|erase|cancel|get rid of|take)\s+(?P<task>.+?)(?:\s+off)?$", _task("delete_task")),
        (r"^(?:list|show|display|read|give me|tell me)\b.*\b(?:tasks?|to-?dos?|list|reminders?)\b.*$", _list),
        (r"^what(?:'s| is| are| do| tasks| have)\b.*\b(?:tasks?|to-?dos?|list|to do|left|remaining)\b.*$", _list),
        (r"^(?:which|how many|do i have|any)\b.*\b(?:tasks?|to-?dos?)\b.*$", _list),
        (r"^(?:my )?(?:tasks|to-?dos|list|to-?do list)$", _list),
        (r"^(?:add|create|make|put|note(?: down)?|write down|new|schedule|set up)\s+(?P<task>.+)$", _add),
        (r"^(?:remind me|remember)\s+(?:to\s+|about\s+|that i (?:need|have) to\s+)?(?P<task>.+)$", _add),
        (
            r"^(?:i (?:need|have|want|must|should|ought)(?: to)?|don't let me forget to"
            r"|todo:?|to-do:?|task:)\s+(?P<task>.+)$",
            _add,
        ),
    )
]


def understand(sentence: str) -> Intent | None:
    """Return the tool call that a sentence asks for, or None if it is not about the todo list."""
    if len(sentence) > MAX_SENTENCE_LENGTH:
        return None
    text = " ".join(sentence.replace("’", "'").split()).strip(" .!?")
    while polite := _POLITE.match(text):
        text = text[polite.end() :]
    text = re.sub(r",?\s*(?:please|thanks|thank you)$", "", text, flags=_FLAGS)
    for pattern, build in _RULES:
        if match := pattern.match(text):
            return build(match)
    return None
