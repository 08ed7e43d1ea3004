"""Rounds of answers, and what they cost apart: by the token and by the message."""

import statistics
from dataclasses import dataclass

from tests.bench.relay.contestants import Contestant
from tests.bench.relay.load_client import Answer, ask

SHORT, LONG = 200, 800
"""Lengths of the measured answers, in tokens: what lies between them is the cost of a token."""

FEW = 10
"""Tokens of an answer that costs little but its message."""

FEW_PLAYS = 5
"""How often such answers are played in a round."""


@dataclass(frozen=True)
class Costs:
    """What one round says of each process: seconds of processor time."""

    by_token: dict[str, float]
    by_message: dict[str, float]
    """What answers of few tokens cost, less their tokens."""

    by_message_of_line: dict[str, float]
    """What the line through short and long answers leaves at no token: less precise, their tokens cost far more."""

    events_by_token: float

    def tokens_of(self, *processes: str) -> float:
        """Return what a token costs in these processes together."""
        return sum(self.by_token[process] for process in processes)

    @property
    def token(self) -> float:
        """What a token costs in all processes."""
        return sum(self.by_token.values())

    @property
    def message(self) -> float:
        """What a message costs in all processes, whatever its length."""
        return sum(self.by_message.values())


async def ask_at_once(contestant: Contestant, streams: int, tokens: int) -> list[Answer]:
    """Ask so many questions at once, each as a user of its own."""
    return await ask(contestant.port, [contestant.question(number, tokens) for number in range(streams)])


async def measure_costs(contestant: Contestant, streams: int) -> Costs:
    """Play answers of few tokens, short ones and long ones; what they cost gives that of a message and of a token."""
    few = [(await _play(contestant, streams, FEW))[0] for _ in range(FEW_PLAYS)]
    short, _ = await _play(contestant, streams, SHORT)
    long, answers = await _play(contestant, streams, LONG)
    by_token = {process: (long[process] - short[process]) / (LONG - SHORT) for process in short}
    by_message = {
        process: statistics.mean(costs[process] for costs in few) - FEW * by_token[process] for process in short
    }
    by_message_of_line = {process: short[process] - SHORT * by_token[process] for process in short}
    events = sum(answer.text_events for answer in answers)
    return Costs(by_token, by_message, by_message_of_line, events / (streams * LONG))


async def _play(contestant: Contestant, streams: int, tokens: int) -> tuple[dict[str, float], list[Answer]]:
    """Return the processor time that one stream has cost, by process, and the answers."""
    before = contestant.cpu_seconds()
    answers = await ask_at_once(contestant, streams, tokens)
    after = contestant.cpu_seconds()
    return {process: (after[process] - before[process]) / streams for process in before}, answers


async def first_texts(contestant: Contestant, streams: int, tokens: int) -> list[float]:
    """Return the seconds from each question to its answer's first text."""
    return [answer.first_text for answer in await ask_at_once(contestant, streams, tokens)]
