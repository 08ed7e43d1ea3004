"""A TCP proxy that passes bytes on, and on demand cuts, delays or swallows up what passes."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from launcher.ports import LOOPBACK

_CHUNK_BYTES = 65536


class TcpProxy:
    """One address in front of another on this machine. How it behaves is changed while bytes pass."""

    def __init__(self, target_port: int) -> None:
        self.delay_seconds = 0.0
        """How long every piece of data waits, in both directions."""
        self._target_port = target_port
        self._connections = set[asyncio.StreamWriter]()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None, "it has been started"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self, share: float, chance: random.Random) -> int:
        """Reset about this share of the connections that there are; returns how many."""
        cut = [writer for writer in list(self._connections) if chance.random() < share]
        for writer in cut:
            writer.transport.abort()
        return len(cut)

    def hold(self) -> None:
        """Pass nothing on until `release`; nobody is told, and connections are accepted as ever."""
        self._flowing.clear()

    def release(self) -> None:
        """Pass on again, beginning with what was held."""
        self._flowing.set()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)

    async def stop(self) -> None:
        """Refuse connections, and end those that there are."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._connections):
                writer.transport.abort()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        there: asyncio.StreamWriter | None = None
        pumps: list[asyncio.Task[None]] = []
        try:
            with suppress(OSError):
                answers, there = await asyncio.open_connection(LOOPBACK, self._target_port)
                pumps = [
                    asyncio.create_task(self._pump(reader, there)),
                    asyncio.create_task(self._pump(answers, writer)),
                ]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connections.discard(writer)
            for pump in pumps:
                pump.cancel()
            for end in (writer, there):
                if end is not None:
                    end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def tcp_proxy(target_port: int) -> AsyncGenerator[TcpProxy]:
    """Run a proxy until the block is left."""
    proxy = TcpProxy(target_port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
