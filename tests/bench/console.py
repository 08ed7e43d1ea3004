"""How a benchmark is told what to do, and tells how far it is."""

import os
import sys
import time


def setting(name: str, default: str) -> str:
    """Return a setting from the environment."""
    return os.environ.get(name) or default  # noqa: TID251 - a program's own settings


def say(text: str) -> None:
    """Tell of progress, with the time of day."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()
