"""Copies what a program prints to the console and to its log file."""

from asyncio import StreamReader
from pathlib import Path
from typing import BinaryIO

from launcher.console import Console

CHUNK_BYTES = 1 << 16
MAX_LINE_BYTES = 1 << 16
"""A longer line is shown in pieces."""

MAX_LOG_BYTES = 16 << 20
"""A log file that has grown beyond this is moved aside (to `.1`) when its program starts."""


async def copy_output(name: str, source: StreamReader, console: Console, log: Path) -> None:
    """Copy until the program closes its output."""
    rest = b""
    with _opened(log) as file:
        while chunk := await source.read(CHUNK_BYTES):
            file.write(chunk)
            file.flush()
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                console.line(name, line.decode(errors="replace").rstrip("\r"))
            if len(rest) > MAX_LINE_BYTES:
                console.line(name, rest.decode(errors="replace"))
                rest = b""
    if rest:
        console.line(name, rest.decode(errors="replace"))


def _opened(log: Path) -> BinaryIO:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    return log.open("ab")
