"""A gate in front of a Postgres: closed, refusing, mute or open, and able to lose messages on their way."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from launcher.ports import LOOPBACK
from tests.support.ports import free_port

Loss = Literal["request", "answer"]
"""What is lost when the connection is cut: the message on its way to the server, or the server's answer to it."""

_SSL_REQUEST = 80877103
_CHUNK_BYTES = 65536


class Gate:
    """One address for a database; how it behaves is changed while clients try."""

    def __init__(self, database_url: str) -> None:
        self._parts = urlsplit(database_url)
        self._port = free_port()
        self._sqlstate = ""
        self._server: asyncio.Server | None = None
        self._connections = set[asyncio.StreamWriter]()
        self._forgotten = set[asyncio.StreamWriter]()
        self._conduct: Literal["refusing", "mute", "open"] = "open"
        self._to_lose: tuple[bytes, Loss] | None = None
        self._only_after: bytes | None = None

    @property
    def url(self) -> str:
        """The address of the database through the gate."""
        credentials = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{credentials}@{LOOPBACK}:{self._port}"))

    @property
    def has_lost(self) -> bool:
        """Whether what `lose` asked for has happened."""
        return self._to_lose is None

    async def open(self) -> None:
        """Let through all new connections."""
        await self._listen("open")

    async def refuse(self, sqlstate: str) -> None:
        """Answer all new connections with an error: 57P03 is that of a server that has not finished starting."""
        self._sqlstate = sqlstate
        await self._listen("refusing")

    async def fall_silent(self) -> None:
        """Accept connections and say nothing."""
        await self._listen("mute")

    async def close(self) -> None:
        """Refuse connections, and cut those that there are."""
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None

    def cut(self) -> None:
        """Cut all connections."""
        for writer in list(self._connections):
            writer.transport.abort()

    def forget(self) -> None:
        """Pass nothing on any more for the connections that there are; nobody is told."""
        self._forgotten |= self._connections

    def lose(self, piece: bytes, loss: Loss, *, after: bytes | None = None) -> None:
        """Cut the next connection that sends this piece of SQL or of a value, before or after the server acts on it.

        With `after`, the next one that has sent that other piece before: a service does things of its own meanwhile.
        """
        self._to_lose, self._only_after = (piece, loss), after

    async def _listen(self, conduct: Literal["refusing", "mute", "open"]) -> None:
        self._conduct = conduct
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, LOOPBACK, self._port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                if self._conduct == "refusing":
                    await _refuse(reader, writer, self._sqlstate)
                elif self._conduct == "mute":
                    await reader.read()
                else:
                    await self._forward(reader, writer)
        finally:
            self._connections.discard(writer)
            self._forgotten.discard(writer)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        answers = asyncio.create_task(_pump(server_reader, writer))
        has_sent_it = False
        try:
            while request := await reader.read(_CHUNK_BYTES):
                if writer in self._forgotten:
                    continue
                has_sent_it = has_sent_it or (self._only_after is not None and self._only_after in request)
                loss = self._loss_of(request) if has_sent_it or self._only_after is None else None
                if loss == "answer":
                    answers.cancel()
                    await asyncio.wait({answers})
                    server_writer.write(request)
                    await server_reader.read(1)
                if loss is not None:
                    writer.transport.abort()
                    return
                server_writer.write(request)
                await server_writer.drain()
        finally:
            answers.cancel()
            await asyncio.wait({answers})
            server_writer.close()

    def _loss_of(self, request: bytes) -> Loss | None:
        if self._to_lose is None or self._to_lose[0] not in request:
            return None
        loss, self._to_lose = self._to_lose[1], None
        return loss


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while answer := await reader.read(_CHUNK_BYTES):
            writer.write(answer)
            await writer.drain()
    writer.close()


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sqlstate: str) -> None:
    while True:
        length = int.from_bytes(await reader.readexactly(4))
        code = int.from_bytes((await reader.readexactly(length - 4))[:4])
        if code != _SSL_REQUEST:
            break
        writer.write(b"N")
    error = f"SFATAL\0VFATAL\0C{sqlstate}\0Mnot now\0\0".encode()
    writer.write(b"E" + (len(error) + 4).to_bytes(4) + error)
    await writer.drain()


@asynccontextmanager
async def gate_before(database_url: str) -> AsyncGenerator[Gate]:
    """Give a gate, closed at first; it is closed at the end."""
    gate = Gate(database_url)
    try:
        yield gate
    finally:
        await gate.close()
