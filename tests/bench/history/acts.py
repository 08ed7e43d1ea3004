"""What is measured: acts of users and workers, as requests."""

import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from contracts.ids import new_id
from contracts.principal import CONVERSATIONS_READ, CONVERSATIONS_WRITE, RUNS_WORK
from history_service.domain import ItemCursor
from service_kit.internal_tokens import TokenSigner
from tests.bench.history.baseline import USER_HEADER
from tests.bench.history.dataset import COMMON_WORD, CONVERSATION_MESSAGES, RARE_WORD, Dataset
from tests.bench.history.load_client import request
from tests.support.history import assistant_message

PAGE = 20
MEASURED_USERS = 50
DIFFERENT_REQUESTS = 2_000
WRITER = "bench-writer"
WRITER_CONVERSATIONS = 200
AUDIENCE = "history-service"

Requests = Callable[[], Iterator[bytes]]
"""Starts anew, with fresh tokens: they live for a minute."""


@dataclass(frozen=True)
class Act:
    """One kind of request."""

    name: str
    requests: Requests
    resets: bool = False


class Acts:
    """The acts on one database; users and conversations are picked at random, the same ones each time."""

    def __init__(self, dataset: Dataset, user_signer: TokenSigner, worker_signer: TokenSigner) -> None:
        self._dataset = dataset
        self._user_signer = user_signer
        self._worker_signer = worker_signer

    def all(self) -> list[Act]:
        """Return the acts in the order in which they are measured."""
        data = self._dataset

        def newest(conversation: int) -> str:
            return f"/conversations/{data.conversation_id(conversation)}/items?limit={PAGE}&order=desc"

        def following(conversation: int) -> str:
            position = CONVERSATION_MESSAGES - PAGE + 1
            seen = ItemCursor(data.message_id(conversation, position), position)
            return f"{newest(conversation)}&after={seen.text(data.conversation_id(conversation))}"

        return [
            Act("newest page", lambda: self._reads(newest)),
            Act("next page", lambda: self._reads(following)),
            Act("newest page of 5,000", lambda: self._reads(lambda _: newest(0), only=0)),
            Act("conversations", lambda: self._reads(lambda _: f"/conversations?limit={PAGE}")),
            Act("search, rare word", lambda: self._reads(lambda _: _search(RARE_WORD))),
            Act("search, common word", lambda: self._reads(lambda _: _search(COMMON_WORD))),
            Act("append", self._appends),
            Act("claim", self._claims, resets=True),
        ]

    def baseline(self) -> Iterator[bytes]:
        """Yield the requests of the newest page for the bare route, which takes the user from a header."""
        data = self._dataset
        made = [
            request(
                "GET",
                f"/conversations/{data.conversation_id(conversation)}/items?limit={PAGE}&order=desc",
                {USER_HEADER: data.user_of(conversation), "authorization": f"Bearer {'x' * 400}"},
            )
            for conversation in self._conversations()
        ]
        return itertools.cycle(made)

    def _conversations(self) -> list[int]:
        pick, data = random.Random(5), self._dataset  # noqa: S311 - not for secrets
        users = pick.sample(range(data.users), min(data.users, MEASURED_USERS))
        conversations = [number for number in range(1, data.conversations) if number % data.users in set(users)]
        return pick.choices(conversations, k=DIFFERENT_REQUESTS)

    def _reads(self, target: Callable[[int], str], *, only: int | None = None) -> Iterator[bytes]:
        conversations = self._conversations() if only is None else [only]
        headers = {user: self._user(user, CONVERSATIONS_READ) for user in map(self._dataset.user_of, conversations)}
        made = [request("GET", target(number), headers[self._dataset.user_of(number)]) for number in conversations]
        return itertools.cycle(made)

    def _appends(self) -> Iterator[bytes]:
        headers = self._user(WRITER, CONVERSATIONS_WRITE)
        for number in itertools.count():
            conversation_id = f"thr_bench_{number % WRITER_CONVERSATIONS}"
            item = assistant_message(
                conversation_id, "An answer of the usual length, about nothing. " * 4, new_id("msg")
            )
            yield request("POST", f"/conversations/{conversation_id}/items", headers, json.dumps({"payload": item}))

    def _claims(self) -> Iterator[bytes]:
        token = self._worker_signer.sign(AUDIENCE, [RUNS_WORK])
        claim = request("POST", "/runs/claim", {"authorization": f"Bearer {token}"}, '{"worker_id":"bench"}')
        return itertools.repeat(claim, WRITER_CONVERSATIONS)

    def _user(self, user_id: str, scope: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self._user_signer.sign(AUDIENCE, [scope], user_id=user_id)}"}


def _search(word: str) -> str:
    return f"/conversations/search?q={word}&limit={PAGE}"
