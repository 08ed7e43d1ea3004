"""Whatever a service does and a caller leaves undone: nobody is given what answers another one's question."""

import asyncio
import random
import re
from collections import Counter
from contextlib import suppress
from urllib.parse import urlsplit

from tests.integration.gateway.conftest import StartGateway, secret_token
from tests.integration.gateway.erratic_service import FOREIGN, answer_of, erratic
from tests.integration.gateway.talking_service import talking_service

SEED = 20_250
EXCHANGES = 1500
CALLERS = 30
USERS = [b"user%d" % number for number in range(10)]
TOKENS = {user: secret_token(sub=user.decode()).encode() for user in USERS}
SETTINGS = {
    "upstream_response_seconds": 0.1,
    "stream_idle_seconds": 0.1,
    "keepalive_seconds": 0.002,
    "request_max_bytes": 20_000,
    "streams_per_user": 0,
}

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
REQUESTS = (
    b"GET /api/%(user)b/tasks?q=%(question)b %(head)b\r\n",
    b"GET /api/%(user)b/runs/run_1/events?q=%(question)b %(head)b\r\n",
    b"GET /api/%(user)b/tasks?q=%(question)b %(head)b" + CHUNKED + b"2\r\n{}\r\n0\r\n\r\n",
    b"POST /api/%(user)b/tasks?q=%(question)b %(head)bContent-Length: 2\r\n\r\n{}",
    b"POST /api/%(user)b/chatkit?q=%(question)b %(head)b"
    + CHUNKED
    + (b"400\r\n" + b"#" * 1024 + b"\r\n") * 3
    + b"0\r\n\r\n",
    b"POST /api/%(user)b/tasks?q=%(question)b %(head)b"
    + CHUNKED
    + (b"2800\r\n" + b"#" * 10_240 + b"\r\n") * 3
    + b"0\r\n\r\n",
)


class _Callers:
    """Callers over real connections: they ask, pipeline, dawdle and leave, as chance has it."""

    def __init__(self, base: str, chance: random.Random) -> None:
        self._address = urlsplit(base)
        self._chance = chance
        self._asked = 0
        self.wrong: list[tuple[bytes, bytes, bytes, bytes]] = []
        self.outcomes: Counter[str] = Counter()

    async def ask_all(self) -> None:
        while self._asked < EXCHANGES:
            reader, writer = await asyncio.open_connection(self._address.hostname, self._address.port)
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._ask(reader, writer):
                    pass
            writer.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Ask once or several times; tell whether the connection can be used further."""
        questions = [self._question() for _ in range(self._chance.choice([1, 1, 1, 2]))]
        data = b"".join(request for _, _, request in questions)
        cut = self._chance.randrange(len(data))
        writer.write(data[:cut])
        await asyncio.sleep(self._chance.choice([0, 0, 0.001]))
        if self._leaves():
            return False
        writer.write(data[cut:])
        if self._leaves():
            await asyncio.sleep(self._chance.choice([0, 0.001, 0.01]))
            return False
        for question, user, _ in questions:
            head, body = await _answer(reader)
            named = set(re.findall(rb"<\w+:\w+>", body))
            if FOREIGN in head + body or named - {answer_of(question, user)}:
                self.wrong.append((question, user, head, body))
            self.outcomes[head.split()[1].decode()] += 1
        return self._asked < EXCHANGES

    def _leaves(self) -> bool:
        is_leaving = self._chance.random() < 0.05
        if is_leaving:
            self.outcomes["left"] += 1
        return is_leaving

    def _question(self) -> tuple[bytes, bytes, bytes]:
        self._asked += 1
        question, user = b"q%d" % self._asked, self._chance.choice(USERS)
        head = b"HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n" % TOKENS[user]
        return question, user, self._chance.choice(REQUESTS) % {b"user": user, b"question": question, b"head": head}


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read an answer. Of one that breaks off, no more than what has come."""
    head = await reader.readuntil(b"\r\n\r\n")
    length, body = re.search(rb"content-length: (\d+)", head), b""
    with suppress(asyncio.IncompleteReadError):
        if b"transfer-encoding: chunked" in head:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
        elif length:
            body = await reader.readexactly(int(length[1]))
    return head, body


async def test_every_answer_belongs_to_its_question(start_gateway: StartGateway) -> None:
    chance = random.Random(SEED)  # noqa: S311 - to be repeated
    async with talking_service(erratic(chance)) as url:
        urls = {"chat_url": url, "history_url": url, "tools_url": url}
        async with start_gateway(**urls, **SETTINGS) as gateway:
            callers = _Callers(str(gateway.base_url), chance)
            await asyncio.gather(*(callers.ask_all() for _ in range(CALLERS)))
    assert callers.wrong == []
    assert {"left", "200", "204", "304", "413", "502", "504"} <= set(callers.outcomes), callers.outcomes
