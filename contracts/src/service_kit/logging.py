"""Structured logs: JSON in production, readable on a terminal. Never a token, a key or message text."""

import logging
import sys
from asyncio import CancelledError
from contextlib import suppress
from threading import RLock
from typing import Literal, TextIO

import structlog
from structlog.typing import Processor


class _Lines:
    """Writes log lines to a stream, each as a whole: structlog's last step, and the handler's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = RLock()  # a finalizer may log while its thread writes

    def write(self, line: str) -> None:
        """Write a line. Nothing fails because it cannot be written.

        Its reader may have gone, a character may have no bytes, or a finalizer may log within the writing of a line.
        """
        with suppress(OSError, ValueError, RuntimeError), self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = write


class _LibraryHandler(logging.Handler):
    """Writes the records of libraries, which know the standard library's loggers alone."""

    def __init__(self, lines: _Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, but none of each request that a stopping server cancels: it says how many there were."""
        if record.exc_info and isinstance(record.exc_info[1], CancelledError):
            return
        try:
            self._lines.write(self.format(record))
        except Exception:
            self.handleError(record)


def configure_logging(service: str, log_format: Literal["auto", "console", "json"], level: str) -> None:
    """Route structlog and the standard library's loggers to stdout in one format.

    Our own events do not pass through the standard library, which would take as long as all the rest.
    """
    as_json = log_format == "json" or (log_format == "auto" and not sys.stdout.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # A plain traceback: the renderer's own would print local variables, and with them tokens and message text.
    final: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        else [
            structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    lines = _Lines(sys.stdout)
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    handler = _LibraryHandler(lines)
    without_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[without_meta, *final])
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("uvicorn.error", "uvicorn.access", "httpx", "httpx2", "httpcore", "openai.agents", "mcp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)
