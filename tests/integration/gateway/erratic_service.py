"""A service that answers right, oddly or not at all, as chance has it, and names the question in each answer."""

import asyncio
import base64
import json
import random
import re
from collections.abc import Awaitable, Callable

from tests.integration.gateway.talking_service import Talk

FOREIGN = b"FOREIGN"
"""What stands in bytes that answer no question."""

_EXTRA = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n" + FOREIGN


def answer_of(question: bytes, user: bytes) -> bytes:
    """Return what a question of a user is answered with, once or several times."""
    return b"<%b:%b>" % (question, user)


class _Visit:
    """One request, and the connection that it came over."""

    def __init__(self, chance: random.Random, head: bytes, writer: asyncio.StreamWriter) -> None:
        self._chance = chance
        self._writer = writer
        question = re.search(rb"[?&]q=(\w+)", head)
        token = re.search(rb"Bearer [^.]+\.([^.]+)\.", head)
        assert question
        assert token
        user = json.loads(base64.urlsafe_b64decode(token[1] + b"=" * (-len(token[1]) % 4)))["sub"].encode()
        self.body = answer_of(question[1], user) * chance.choice([1, 3, 100])
        self.whole = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(self.body), self.body)

    async def pause(self) -> None:
        """Let the other side read what has come, or not."""
        await asyncio.sleep(self._chance.choice([0, 0, 0.001]))

    async def write(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._writer.write(piece)
            await self.pause()

    async def answer(self) -> None:
        await self.write(self.whole)

    async def split(self) -> None:
        cut = self._chance.randrange(1, len(self.whole))
        await self.write(self.whole[:cut], self.whole[cut:])

    async def stream(self) -> None:
        event = b"data: %b\n\n" % self.body
        chunk = b"%x\r\n%b\r\n" % (len(event), event)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        await self.write(head, *[chunk] * self._chance.randrange(1, 4), b"0\r\nx: y\r\n\r\n")

    async def hint_before(self) -> None:
        await self.write(b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n" * self._chance.randrange(1, 20), self.whole)

    async def say_more(self) -> None:
        """Begin another answer with the first one; the rest of it may come when the next question was asked."""
        cut = self._chance.randrange(1, len(_EXTRA))
        await self.write(self.whole + b"HTTP/1.1 200 OK\r\nx: " + _EXTRA[:cut], _EXTRA, _EXTRA)

    async def say_garbage(self) -> None:
        await self.write(self.whole + b"garbage", _EXTRA)

    async def announce_what_cannot_come(self) -> None:
        framing = self._chance.choice([b"content-length: %d" % len(_EXTRA), b"transfer-encoding: chunked"])
        status = self._chance.choice([b"204 No Content", b"304 Not Modified"])
        await self.write(b"HTTP/1.1 %b\r\n%b\r\n\r\n" % (status, framing), _EXTRA)

    async def deny_to_go_on(self) -> None:
        await self.write(self.whole.replace(b"OK\r\n", b"OK\r\nconnection: close\r\n"), _EXTRA)

    async def break_off(self) -> None:
        await self.write(self.whole[: self._chance.randrange(len(self.whole))])
        self._writer.transport.abort()

    async def leave(self) -> None:
        await self.write(self.whole)
        self._writer.close()

    async def be_late(self) -> None:
        await asyncio.sleep(self._chance.choice([0.02, 0.02, 0.2]))
        await self.write(self.whole)


_WAYS: tuple[Callable[[_Visit], Awaitable[None]], ...] = (
    *(_Visit.answer,) * 4,
    *(_Visit.split, _Visit.stream, _Visit.stream, _Visit.hint_before, _Visit.say_more, _Visit.say_garbage),
    *(_Visit.announce_what_cannot_come, _Visit.deny_to_go_on, _Visit.break_off, _Visit.leave, _Visit.be_late),
)


def erratic(chance: random.Random) -> Talk:
    """Return what answers each question in one of all ways; with some, before all of it was asked."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.transport.is_closing():
            head = await reader.readuntil(b"\r\n\r\n")
            is_early = chance.random() < 0.1
            if not is_early:
                await _read_body(reader, head)
            await chance.choice(_WAYS)(_Visit(chance, head, writer))
            if is_early:
                await _read_body(reader, head)

    return talk


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> None:
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    if length:
        await reader.readexactly(int(length[1]))
    elif b"chunked" in head:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
