"""The commands of the bootstrap.

`up`, `down`: prepare what is needed and become the launcher. `tools`: prepare the Python environment with the
development tools, and the page's packages. `built`: the same, and the page's build. `browser`,
`pgbouncer`, `nginx`, `wrk`: print the path of a Chromium, of the program. `locked`: the Python environment with the
tools alone.
"""

import os
import sys
from pathlib import Path

from bootstrap.browser import ensure_browser
from bootstrap.debian import PROGRAMS, ensure_program
from bootstrap.dotenv import wants_page
from bootstrap.environment import Environment
from bootstrap.errors import BootstrapError
from bootstrap.page import Page
from bootstrap.steps import alone_in, machine_environment, say

EXIT_INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Run one command; `up` and `down` do not return."""
    root = Path.cwd()
    try:
        with alone_in(root):
            return _run(root, arguments)
    except BootstrapError as error:
        say(f"threadkeep: {error}")
        return 1
    except OSError as error:
        say(f"threadkeep: {error.strerror or error} ({error.filename}): may this account write to {root}?")
        return 1
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _run(root: Path, arguments: list[str]) -> int:
    environment = Environment(root)
    match arguments:
        case ["up"]:
            _become_launcher(root, environment, "up", page=wants_page(root, os.environ))  # noqa: TID251 - as typed
        case ["down"]:
            _become_launcher(root, environment, "down", page=False)
        case ["locked"]:
            environment.prepare(development=True)
        case ["tools"]:
            environment.prepare(development=True)
            Page(root).prepare(build=False)
        case ["built"]:
            environment.prepare(development=True)
            Page(root).prepare(build=True)
        case ["browser"]:
            sys.stdout.write(f"{ensure_browser(root, os.environ)}\n")  # noqa: TID251 - as typed
        case [name] if name in PROGRAMS:
            sys.stdout.write(f"{ensure_program(PROGRAMS[name], root, os.environ)}\n")  # noqa: TID251 - as typed
        case _:
            say("usage: python3 -m bootstrap up|down|locked|tools|built|browser|pgbouncer|nginx|wrk")
            return 2
    return 0


def _become_launcher(root: Path, environment: Environment, command: str, *, page: bool) -> None:
    environment.prepare(development=False)
    if page:
        Page(root).prepare(build=True)
    program = str(environment.python)
    os.execve(program, (program, "-m", "launcher", command), machine_environment())  # noqa: S606 - the next stage
