"""What the databases of the benchmark hold: the same for a number of messages each time.

Conversations of 100 messages, 100 of them for each user; the first one has 5,000. A thousand conversations go on at
a time, so that the messages of one lie as far apart on disk as they do in a database that has grown.
"""

import bisect
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

CONVERSATION_MESSAGES = 100
LONG_CONVERSATION_MESSAGES = 5_000
USER_CONVERSATIONS = 100
CONCURRENT_CONVERSATIONS = 1_000
MESSAGES_PER_RUN = 10

BEGINNING = datetime(2025, 1, 1, tzinfo=UTC)
SPAN = timedelta(days=365)

RARE_WORD = "xylograph"
"""In one message of a thousand."""

COMMON_WORD = "could"
"""In about a third of the messages."""

_SYLLABLES = [first + vowel + last for first in "bdfklmnprstv" for vowel in "aeiou" for last in ("", "n", "r", "st")]
_FREQUENT = "the of and to in is that it for you with on as are this be at have from or we can an your not by"
_VOCABULARY = 20_000
_SAMPLE = 1 << 18


@dataclass(frozen=True)
class Message:
    """A message as one line of COPY's text format needs it."""

    conversation: int
    position: int
    text: str


class Dataset:
    """A database's content. Ids and times follow from the numbers of conversations and messages."""

    def __init__(self, messages: int) -> None:
        self.messages = messages
        rest = max(messages - LONG_CONVERSATION_MESSAGES, 0)
        self.conversations = 1 + rest // CONVERSATION_MESSAGES
        self.users = max(1, round(self.conversations / USER_CONVERSATIONS))

    def length(self, conversation: int) -> int:
        """Return how many messages a conversation has."""
        return LONG_CONVERSATION_MESSAGES if conversation == 0 else CONVERSATION_MESSAGES

    def user_of(self, conversation: int) -> str:
        """Return whose a conversation is."""
        return f"user-{conversation % self.users}"

    def conversation_id(self, conversation: int) -> str:
        """Return the id of a conversation, as the service makes them: its time, then what is random."""
        return f"thr_{_uuid7(self.started(conversation), conversation):032x}"

    def message_id(self, conversation: int, position: int) -> str:
        """Return the id of a message."""
        return f"msg_{_uuid7(self.written(conversation, position), conversation << 20 | position):032x}"

    def started(self, conversation: int) -> datetime:
        """Return when a conversation began."""
        return BEGINNING + SPAN * (conversation / self.conversations)

    def written(self, conversation: int, position: int) -> datetime:
        """Return when a message was written."""
        return self.started(conversation) + timedelta(seconds=37 * position)

    def waves(self) -> Iterator[range]:
        """Yield conversations that go on at the same time."""
        for first in range(0, self.conversations, CONCURRENT_CONVERSATIONS):
            yield range(first, min(first + CONCURRENT_CONVERSATIONS, self.conversations))

    def wave_messages(self, wave: range) -> Iterator[Message]:
        """Yield the messages of a wave in the order in which they came."""
        words = Words(seed=wave.start)
        longest = max(self.length(conversation) for conversation in (wave.start, wave[-1]))
        for position in range(1, longest + 1):
            for conversation in wave:
                if position <= self.length(conversation):
                    yield Message(conversation, position, words.text())


class Words:
    """Texts of 20 to 400 characters; words are as unevenly frequent as in a language (Zipf's law)."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self._sample = _sampled_words()

    def text(self) -> str:
        """Return a text."""
        pick = self._random
        size, start = pick.randint(20, 400), pick.randrange(_SAMPLE - 100)
        text = " ".join(self._sample[start : start + size // 4])[:size].rstrip()
        if pick.random() < 0.001:
            text = f"{RARE_WORD} {text}"
        return text


_sample_cache: list[str] = []


def _sampled_words() -> list[str]:
    if not _sample_cache:
        pick = random.Random(7)  # noqa: S311 - not for secrets
        made = ("".join(pick.choices(_SYLLABLES, k=pick.choice((1, 2, 2, 3)))) for _ in itertools.count())
        vocabulary = [*_FREQUENT.split(), COMMON_WORD, *itertools.islice(made, _VOCABULARY)]
        weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(len(vocabulary))))
        _sample_cache.extend(vocabulary[bisect.bisect(weights, pick.random() * weights[-1])] for _ in range(_SAMPLE))
    return _sample_cache


def _uuid7(time: datetime, number: int) -> int:
    milliseconds = int(time.timestamp() * 1000)
    scattered = number * 0x9E3779B97F4A7C15 & (1 << 62) - 1
    return milliseconds << 80 | 0x7 << 76 | (number & 0xFFF) << 64 | 0b10 << 62 | scattered
