"""`python -m launcher [up|down]`: what `make up` and `make down` end in."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from launcher.console import Console
from launcher.errors import LauncherError
from launcher.settings import load_settings
from launcher.stopping import stop_running


def main(arguments: list[str]) -> int:
    """Run the product in the current folder, or stop it; returns the exit code."""
    console = Console()
    try:
        settings = load_settings(Path.cwd(), os.environ)  # noqa: TID251 - this is where the environment is read
        match arguments:
            case [] | ["up"]:
                from launcher.running import run  # here, so that stopping does not wait for the databases' drivers

                asyncio.run(run(settings, console))
            case ["down"]:
                stop_running(settings, console)
            case _:
                console.say("usage: python -m launcher [up|down]")
                return 2
    except LauncherError as error:
        sys.stderr.write(f"threadkeep: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    # Until it listens for Ctrl-C itself, the launcher has nothing to stop, and nothing to say about it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
