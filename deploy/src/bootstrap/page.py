"""The page: `frontend/node_modules` from the committed lock, and the production build."""

import shutil
import subprocess
from pathlib import Path

from bootstrap.errors import BootstrapError
from bootstrap.stamps import digest, is_current, tree
from bootstrap.steps import LOGS, machine_environment, run_step

OLDEST_NODE = (20, 9)
NOT_SOURCES = frozenset(
    {"node_modules", ".next", "e2e", "test-results", "coverage", "next-env.d.ts", "tsconfig.json", ".DS_Store"}
)
"""Not part of what is built, or rewritten by the build itself."""

WITHOUT = "or start without the page: `make up UI=0`"


class Page:
    """The page of one checkout."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "frontend"
        self._logs = root / LOGS

    def prepare(self, *, build: bool) -> None:
        """Install, and build if asked; next to nothing happens when both are current. Raises BootstrapError."""
        node = node_version()
        wanted = digest([self._folder / "package-lock.json", self._folder / ".npmrc"], node, str(self._folder))
        stamp = self._folder / "node_modules" / ".threadkeep.stamp"
        if not is_current(stamp, wanted):
            self._npm("Installing the page's packages", "npm-ci.log", "ci", "--no-audit", "--no-fund")
            stamp.write_text(wanted)
        if build:
            self._build(wanted)

    def _build(self, packages: str) -> None:
        stamp = self._folder / ".next" / "threadkeep.stamp"
        wanted = digest(tree(self._folder, NOT_SOURCES), packages)
        if is_current(stamp, wanted) and (self._folder / ".next" / "BUILD_ID").is_file():
            return
        self._npm("Building the page", "npm-build.log", "run", "build")
        stamp.write_text(wanted)

    def _npm(self, what: str, log: str, *arguments: str) -> None:
        environment = machine_environment(NEXT_TELEMETRY_DISABLED="1", npm_config_yes="true")
        command, advice = ("npm", *arguments), f"Fix it, {WITHOUT}."
        run_step(what, command, log=self._logs / log, cwd=self._folder, env=environment, advice=advice)


def node_version() -> str:
    """Return the version of Node.js on PATH. Raises BootstrapError when it is missing or too old."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        raise BootstrapError(f"Node.js with npm is needed for the page: install 20.9 or newer, {WITHOUT}.")
    answer = subprocess.run((node, "--version"), capture_output=True, text=True, check=False)  # noqa: S603 - from PATH
    version = answer.stdout.strip().removeprefix("v")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST_NODE:
        raise BootstrapError(f"Node.js {version or '(unknown)'} is too old: install 20.9 or newer, {WITHOUT}.")
    return version
