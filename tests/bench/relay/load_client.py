"""A client of streamed answers that costs little: it keeps what comes and looks at it afterwards."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httptools

from launcher.ports import LOOPBACK

ANSWER_SECONDS = 60.0
"""Longest time for one answer, above its own length."""

_DELTA = b"text_delta"


class BrokenAnswerError(Exception):
    """An answer did not come, or not whole."""


@dataclass(frozen=True)
class Answer:
    """One streamed answer: seconds from the request to its first text, and how many events its text came in."""

    first_text: float
    text_events: int


@dataclass(frozen=True)
class Question:
    """Asks for an answer of so many tokens, in a new thread."""

    tokens: int
    path: str
    token: str = ""

    def request(self) -> bytes:
        """Return the bytes of the request."""
        content = [{"type": "input_text", "text": f"/words {self.tokens}"}]
        message: dict[str, object] = {"content": content, "attachments": [], "inference_options": {}}
        body = json.dumps({"type": "threads.create", "params": {"input": message}}).encode()
        head = [
            f"POST {self.path} HTTP/1.1",
            "host: localhost",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *([f"authorization: Bearer {self.token}"] if self.token else []),
        ]
        return "\r\n".join([*head, "", ""]).encode() + body


class _Connection(asyncio.Protocol):
    """Asks one question and takes the answer; `httptools` calls it with the parts of the response."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._parser = httptools.HttpResponseParser(self)
        self._received = bytearray()
        self._first_text = 0.0
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._asked = time.perf_counter()
        transport.write(self._question.request())

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._received += body
        if not self._first_text and _DELTA in self._received:
            self._first_text = time.perf_counter() - self._asked

    def on_message_complete(self) -> None:
        last = str(self._question.tokens)
        whole = f'{last}"' if last == "1" else f' {last}"'
        if self._parser.get_status_code() != 200 or whole.encode() not in self._received:
            self._fail("the answer is not whole")
        else:
            self.answer.set_result(Answer(self._first_text, self._received.count(_DELTA)))
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self._fail(f"the connection ended: {exc}")

    def _fail(self, reason: str) -> None:
        newest = bytes(self._received[-600:]).decode(errors="replace")
        self.answer.set_exception(BrokenAnswerError(f"{reason}\n{newest}"))


async def ask(port: int, questions: Sequence[Question]) -> list[Answer]:
    """Ask all questions at once, each on a connection of its own. Raises BrokenAnswerError and TimeoutError."""
    loop = asyncio.get_running_loop()

    async def one(question: Question) -> Answer:
        _, connection = await loop.create_connection(lambda: _Connection(question), LOOPBACK, port)
        return await connection.answer

    async with asyncio.timeout(ANSWER_SECONDS + max(question.tokens for question in questions)):
        return await asyncio.gather(*(one(question) for question in questions))
