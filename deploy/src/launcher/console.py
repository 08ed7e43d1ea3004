"""Lines on the terminal: each with the name of the program that said it, in a colour of its own."""

import os
import sys
from typing import TextIO

NAME_WIDTH = 16
_COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
_RESET = "\x1b[0m"


class Console:
    """Writes whole lines. When its reader has gone it falls silent instead of failing."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._coloured = self._stream.isatty() and "NO_COLOR" not in os.environ  # noqa: TID251 - a terminal's matter
        self._names: dict[str, int] = {}
        self._open = True

    @property
    def is_terminal(self) -> bool:
        """Whether a person is likely to read along."""
        return self._stream.isatty()

    def say(self, text: str = "") -> None:
        """Write the launcher's own words."""
        self._write(text)

    def line(self, name: str, text: str) -> None:
        """Write a line of a program's output."""
        prefix = f"{name:<{NAME_WIDTH}} |"
        if self._coloured:
            colour = _COLOURS[self._names.setdefault(name, len(self._names)) % len(_COLOURS)]
            prefix = f"\x1b[{colour}m{prefix}{_RESET}"
        self._write(f"{prefix} {text}")

    def _write(self, text: str) -> None:
        if not self._open:
            return
        try:
            self._stream.write(f"{text}\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._open = False
