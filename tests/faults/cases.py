"""What is said in each conversation, and how its clients behave: all of it chosen by the seed. Pure."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent_worker.models.demo_answers import INTRODUCTION
from tests.faults.options import Options

CANCELLED_SHARE = 0.12
TABS_SHARE = 0.2
DROPPED_SHARE = 0.35
_ADD = re.compile(r"/add (\d+)")
_SENTENCE = re.compile(r"Add a task to (.+)")


@dataclass(frozen=True)
class Wanted:
    """One message, and what its client does while it is answered."""

    text: str
    cancel_after: float | None = None
    """Cancel so many seconds after the message was acknowledged."""
    drops: tuple[int, ...] = ()
    """Drop the connection after so many bytes of the response, once for each."""


@dataclass(frozen=True)
class Case:
    """One conversation: its turns in order. Messages of one turn are posted at once, each by a tab of its own."""

    number: int
    turns: tuple[tuple[Wanted, ...], ...]

    @property
    def messages(self) -> int:
        """How many messages it has."""
        return sum(len(turn) for turn in self.turns)


def cases(options: Options) -> Iterator[Case]:
    """Yield the seed's conversations, until they have `runs` messages."""
    number = messages = 0
    while messages < options.runs:
        case = _case(number, options)
        messages += case.messages
        if options.only in {None, number}:
            yield case
        number += 1


def _case(number: int, options: Options) -> Case:
    chance = random.Random(f"{options.seed} conversation {number}")  # noqa: S311 - repeatable choices, not secrets
    texts = _texts(chance, options.longest_text)
    turns: list[tuple[Wanted, ...]] = [(_wanted(chance, next(texts)),)]
    for _ in range(chance.randrange(options.most_turns)):
        tabs = 2 if chance.random() < TABS_SHARE else 1
        turns.append(tuple(_wanted(chance, next(texts)) for _ in range(tabs)))
    return Case(number, tuple(turns))


def _wanted(chance: random.Random, text: str) -> Wanted:
    cancel = chance.uniform(0.0, 5.0) if chance.random() < CANCELLED_SHARE else None
    drops = tuple(chance.randint(1, 8000) for _ in range(chance.randint(1, 3)))
    return Wanted(text, cancel, drops if chance.random() < DROPPED_SHARE else ())


def _texts(chance: random.Random, longest: int) -> Iterator[str]:
    """Yield messages of which no two of a conversation are the same."""
    seen = set[str]()
    while True:
        match chance.randrange(4):
            case 0 | 1:
                text = f"/words {chance.randint(20, longest)}"
            case 2:
                text = f"/add {chance.randint(2, 12)}"
            case _:
                text = chance.choice((f"Add a task to buy item {chance.randrange(1000)}", "Good morning!"))
        if text not in seen:
            seen.add(text)
            yield text


def tasks_of(text: str) -> list[str]:
    """Return the titles of the tasks that a message asks for, in order."""
    if match := _ADD.fullmatch(text):
        return [f"task {number}" for number in range(1, int(match[1]) + 1)]
    return [match[1]] if (match := _SENTENCE.fullmatch(text)) else []


def answer_to(text: str, failures: Sequence[str]) -> str:
    """Return the whole answer to a message some of whose tool calls have failed with these outputs."""
    if text.startswith("/words "):
        return " ".join(str(number) for number in range(1, int(text.removeprefix("/words ")) + 1))
    if match := _ADD.fullmatch(text):
        failed = f" {len(failures)} did not work." if failures else ""
        return f"I added {int(match[1]) - len(failures)} tasks.{failed}"
    if match := _SENTENCE.fullmatch(text):
        return f"That did not work: {failures[0]}" if failures else f"Done. I added “{match[1]}” to your list."
    return INTRODUCTION
