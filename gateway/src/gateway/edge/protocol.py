"""Uvicorn's HTTP/1.1 connection, with bounds: on time, on sizes, and on what is ambiguous."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.edge.answers import note_answer, without_chunks
from gateway.edge.doorkeeper import Doorkeeper
from gateway.edge.heads import fault_of, size_of
from gateway.edge.refusals import HEAD_TOO_LARGE, MALFORMED, TOO_SLOW, Refusal
from gateway.edge.settings import EdgeSettings
from gateway.limits.addresses import ClientAddresses
from gateway.limits.settings import Network

BODY_PROGRESS_BYTES: Final = 1024
LEFT_BYTES: Final = 16 * 1024 * 1024
"""How much may come that is read for nothing: a body whose answer has begun, what follows an offer to upgrade.

Not nothing: callers that send all before they read get to read why it was refused.
"""

PIPELINED_REQUESTS: Final = 16
"""Requests that may wait on a connection for the answer before theirs."""

LINGER_SECONDS: Final = 2.0
"""How long a refused caller may take to read why. Closing at once could take the answer back (RFC 9112, 9.6)."""


# What comes next from the caller. Plain numbers: members of an enum take longer to look up, at every request.
_HEAD: Final = 0
_BODY: Final = 1
_NOTHING: Final = 2
"""Between requests; uvicorn itself ends idle connections."""
_END: Final = 3
"""Nothing that would still be read."""


class RefusedError(Exception):
    """Raised into the parser, which ends there."""


class EdgeProtocol(HttpToolsProtocol):
    """A connection that the doorkeeper watches. Nothing is done here for each event of a streamed answer."""

    # Beside uvicorn's attributes: with these among them, each connection would need a dictionary of its own, 1 KB.
    __slots__ = (
        "_body_bytes",
        "_deadline",
        "_doorkeeper",
        "_left_bytes",
        "_phase",
        "_refusal",
        "_running",
        "_settings",
        "_taken_at",
        "_unsent",
        "_unused_bytes",
    )

    def __init__(self, doorkeeper: Doorkeeper, **options: Any) -> None:
        super().__init__(**options)
        self._doorkeeper = doorkeeper
        self._settings = doorkeeper.settings
        self._phase: int = _HEAD
        self._deadline = inf
        self._unused_bytes = 0
        """What came since the head began, or since the last piece of the body: of neither may there be much."""
        self._body_bytes = 0
        self._left_bytes = 0
        self._unsent = 0
        self._taken_at = inf
        self._refusal = MALFORMED
        self._running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin (`asyncio.Protocol`), or refuse to."""
        super().connection_made(transport)
        _end_when_unheard(transport, self._settings.edge_write_idle_seconds)
        refusal = self._doorkeeper.enter(self, self.client[0] if self.client else None)
        if refusal is None:
            self._expect_head()
            return
        self._phase = _END
        transport.write(refusal.to_bytes())
        transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End (`asyncio.Protocol`)."""
        self._doorkeeper.leave(self)
        # Uvicorn tells only the newest request, which may be waiting behind the one that runs.
        _end_of_caller(self._running)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse (`asyncio.Protocol`), and refuse what is too much."""
        if self._phase == _END:
            self._leave(len(data))
            return
        if self._phase == _NOTHING:
            self._expect_head()
        self._unused_bytes += len(data)
        super().data_received(data)
        if self._unused_bytes > self._settings.edge_max_head_bytes:
            if self._phase == _HEAD:
                self._refuse(HEAD_TOO_LARGE)
            elif self._phase == _BODY:
                self._refuse(MALFORMED)
        if len(self.pipeline) > PIPELINED_REQUESTS:
            self._refuse(MALFORMED)

    def on_message_begin(self) -> None:
        """Expect a head (called by the parser)."""
        super().on_message_begin()
        if self._phase != _HEAD:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Judge the head, and begin the request (called by the parser). Raises RefusedError."""
        parser: Any = self.parser
        wants_upgrade = parser.should_upgrade()
        fault = fault_of(parser.get_method(), parser.get_http_version(), self.headers, wants_upgrade=wants_upgrade)
        most = self._settings.edge_max_head_bytes
        if fault is None and self._unused_bytes > most and size_of(self.url, self.headers) > most:
            fault = HEAD_TOO_LARGE
        if fault is not None:
            self._refusal = fault
            raise RefusedError
        if parser.get_http_version() == "1.0":
            self.expect_100_continue = False  # RFC 9110, section 10.1.1
        super().on_headers_complete()
        # Trailers come through the same callback. They are no headers, and nobody reads them.
        self.headers = []
        self._phase = _BODY
        self._unused_bytes = self._body_bytes = self._left_bytes = 0
        self._deadline = self.loop.time() + self._settings.edge_body_idle_seconds

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body (called by the parser)."""
        self._body_bytes += len(body)
        self._unused_bytes = 0
        super().on_body(body)
        if self.cycle.response_started:
            self._leave(len(body))

    def on_message_complete(self) -> None:
        """End the request's body (called by the parser)."""
        super().on_message_complete()
        self._phase = _NOTHING
        # Uvicorn counts idle time from the answer to the next bytes: here, these were the rest of what it had answered.
        self._deadline = self.loop.time() + self.timeout_keep_alive if self.cycle.response_complete else inf

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser has refused."""
        self._refuse(self._refusal)

    def check(self, now: float) -> None:
        """Look whether time is up, for the caller's next bytes or for taking ours."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent < self._unsent or self._taken_at == inf:
            self._taken_at = now
        elif now - self._taken_at > self._settings.edge_write_idle_seconds:
            self.transport.abort()
            return
        self._unsent = unsent
        if now < self._deadline or self.transport.is_closing():
            return
        if self._phase == _HEAD:
            self._end_of_head(now)
        elif self._phase == _BODY:
            self._end_of_body(now)
        else:
            self.transport.abort()

    def _end_of_head(self, now: float) -> None:
        if self._is_answering:
            self._deadline = now + self._settings.edge_head_seconds
        elif self._unused_bytes:
            self._refuse(TOO_SLOW)
        else:
            self.transport.close()

    def _end_of_body(self, now: float) -> None:
        # A body that is not read on purpose makes no progress either.
        if self.flow.read_paused or self._body_bytes >= BODY_PROGRESS_BYTES:
            self._body_bytes = 0
            self._deadline = now + self._settings.edge_body_idle_seconds
        else:
            self._refuse(TOO_SLOW)

    def _leave(self, size: int) -> None:
        """Take note of bytes that nobody will look at, and end the connection if there are too many of them."""
        self._left_bytes += size
        if self._left_bytes > LEFT_BYTES:
            self.transport.abort()

    def _expect_head(self) -> None:
        self._phase = _HEAD
        self._unused_bytes = 0
        self._deadline = self.loop.time() + self._settings.edge_head_seconds

    @property
    def _is_answering(self) -> bool:
        """Whether an earlier request has not been answered wholly."""
        return self._running is not None and not self._running.response_complete

    @property
    def _is_answer_expected(self) -> bool:
        """Whether the next answer on this connection is that of the request which is coming in."""
        if self._phase != _BODY:
            return not self._is_answering
        running = self._running
        return running is not None and running is self.cycle and not running.response_started

    def _refuse(self, refusal: Refusal) -> None:
        """End the connection, and say why if an answer is what the caller reads next."""
        can_answer = self._is_answer_expected
        self._phase = _END
        self._unset_keepalive_if_required()
        self.headers = []
        self.pipeline.clear()
        if not can_answer:
            self.transport.abort()
            return
        _end_of_caller(self._running)
        self.flow.resume_reading()
        self._deadline = self.loop.time() + LINGER_SECONDS
        self.transport.write(refusal.to_bytes())
        self.transport.write_eof()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        note_answer(cycle)
        if cycle.scope["http_version"] == "1.0":
            app = cast("Any", without_chunks(app, cycle))
        super()._start_asgi_task(cycle, app)

    def _unsupported_upgrade_warning(self) -> None:
        """Answer as if no upgrade had been asked for; what follows is in a protocol that nobody speaks here."""
        self._phase = _END
        self._deadline = inf
        self.cycle.keep_alive = False


def _end_of_caller(cycle: RequestResponseCycle | None) -> None:
    """Let a request know that nobody waits for its answer any more."""
    if cycle is not None and not cycle.response_complete:
        cycle.disconnected = True
        cycle.message_event.set()


def _end_when_unheard(transport: asyncio.Transport, seconds: float) -> None:
    """Let the system end the connection of a caller that has vanished (RFC 5482); where it can, on Linux."""
    with suppress(AttributeError, OSError):
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def edge_options(settings: EdgeSettings, trusted_proxies: Sequence[Network]) -> dict[str, Any]:
    """Return uvicorn's options for a server at the edge. WebSockets are none of its protocols.

    Each request has a context of its own: a pipelined one would be logged in the name of the one before it.
    """
    doorkeeper = Doorkeeper(settings, ClientAddresses(trusted_proxies))
    return {"http": partial(EdgeProtocol, doorkeeper), "ws": "none", "reset_contextvars": True}
