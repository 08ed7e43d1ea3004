"""The streamed response: a head, then a run's frames, written to the client as they come."""

import asyncio
from collections.abc import Callable

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chat_service.relay import synthetic
from chat_service.relay.outlet import ResponseBody
from chat_service.relay.reader import RunReader
from contracts.runs import Run
from service_kit.requests import body_send_of

log = structlog.get_logger(__name__)

RUN_ID_HEADER = "X-Run-Id"
STREAM_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}

BROKEN_MESSAGE = "The connection to the answer broke. It goes on: reload the conversation to see it."


class FrameStreamResponse(Response):
    """Streams one reader's frames.

    Leaner than Starlette's StreamingResponse: one task that waits for the client to leave, and per frame nothing but
    the ASGI message. A client that leaves stops the reader, never the run.
    """

    media_type = "text/event-stream"

    def __init__(self, reader: RunReader, run: Run, *, on_left: Callable[[], None], head: bytes = b"") -> None:
        """Stream `head` and what the reader reads of `run`; `on_left` is called if the client leaves before its end."""
        self.status_code = 200
        self.background = None
        self.init_headers({**STREAM_HEADERS, RUN_ID_HEADER: run.id})
        self._head = head
        self._reader = reader
        self._run = run
        self._on_left = on_left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the run ends or the client leaves."""
        body = ResponseBody(body_send_of(scope, send))
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if self._head:
            await body.write(self._head)
        watcher = asyncio.create_task(self._stop_on_disconnect(receive))
        try:
            await self._reader.relay(body, run=self._run)
        except asyncio.CancelledError:
            # Only a shutdown of the server cancels: a client that leaves is told by `receive`.
            await body.write(synthetic.error(BROKEN_MESSAGE, allow_retry=True))
            raise
        except Exception:
            log.exception("relay_failed", run_id=self._run.id)
            await body.write(synthetic.error(BROKEN_MESSAGE, allow_retry=True))
        finally:
            watcher.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stop_on_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._reader.stop()
        self._on_left()
