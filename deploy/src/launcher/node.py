"""The page's runtime."""

import asyncio
import shutil
import subprocess

from launcher.errors import LauncherError
from launcher.settings import LauncherSettings

OLDEST_NODE = (20, 9)
"""What Next.js 16 needs."""


class NodeError(LauncherError):
    """Node.js is missing or too old, or the page has not been built."""


async def check_node(settings: LauncherSettings) -> None:
    """Raise NodeError unless the page can be served."""
    without = "or start without the page: `make up UI=0`"
    program = shutil.which("node")
    if program is None or shutil.which("npm") is None:
        raise NodeError(f"Node.js and npm are needed for the page: install Node.js 20.9 or newer, {without}.")
    answer = await asyncio.to_thread(
        subprocess.run,
        (program, "--version"),
        capture_output=True,
        text=True,
        check=False,
    )
    version = parse_version(answer.stdout)
    if version < OLDEST_NODE:
        raise NodeError(f"Node.js {answer.stdout.strip() or '(unknown)'} is too old: install 20.9 or newer, {without}.")
    if not (settings.root / "frontend" / ".next" / "BUILD_ID").is_file():
        raise NodeError(f"The page has not been built: run `make up` (not the launcher alone), {without}.")


def parse_version(text: str) -> tuple[int, int]:
    """Read `v20.11.1` as (20, 11); anything else as (0, 0)."""
    parts = text.strip().removeprefix("v").split(".")
    return (int(parts[0]), int(parts[1])) if len(parts) >= 2 and parts[0].isdigit() and parts[1].isdigit() else (0, 0)
