"""The Python environment: `.venv`, filled from the committed locks, with every workspace member on its path."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from bootstrap.errors import BootstrapError
from bootstrap.stamps import digest, is_current
from bootstrap.steps import LOGS, machine_environment, run_step, say

MEMBERS = (
    *("contracts", "gateway", "chat-service", "history-service", "history-service/client", "agent-worker"),
    "deploy",
)
INSTALLER_LOCK = "deploy/locks/bootstrap.lock"
RUNTIME_LOCK = "requirements.lock"
DEVELOPMENT_LOCK = "deploy/locks/dev.lock"


class Environment:
    """The environment of one checkout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.python = self.folder / "bin" / "python"
        self._logs = root / LOGS

    def prepare(self, *, development: bool) -> None:
        """Make or refresh it; next to nothing happens when it is current. Raises BootstrapError."""
        locks = [RUNTIME_LOCK, DEVELOPMENT_LOCK] if development else [RUNTIME_LOCK]
        version = self._version()
        stale = [lock for lock in locks if version is None or not is_current(*self._stamp(lock, version))]
        if not stale:
            return
        if version is None:
            self._create()
        for lock in stale:
            self._install(lock)
        self._put_members_on_path()
        made = self._version()
        if made is None:
            raise BootstrapError(f"{self.folder} does not work: remove it and try again.")
        for lock in stale:
            stamp, value = self._stamp(lock, made)
            stamp.write_text(value)

    def _version(self) -> str | None:
        """Return the environment's Python version, or None when there is none that works."""
        question = "import sys; print('%d.%d' % sys.version_info[:2])"
        if not self.python.exists():
            return None
        answer = subprocess.run(  # noqa: S603 - the environment's own interpreter
            (str(self.python), "-I", "-c", question), capture_output=True, text=True, check=False
        )
        version = answer.stdout.strip()
        return version if answer.returncode == 0 and self._packages(version).is_dir() else None

    def _create(self) -> None:
        if importlib.util.find_spec("ensurepip") is None:
            version = ".".join(map(str, sys.version_info[:2]))
            raise BootstrapError(
                f"Python {version} cannot make virtual environments: install its venv package "
                f"(Debian, Ubuntu: apt-get install python{version}-venv) and try again."
            )
        if self.folder.exists():
            say("  The Python environment is broken: making it anew.")
            shutil.rmtree(self.folder)
        command = (sys.executable, "-m", "venv", str(self.folder))
        run_step("Making the Python environment", command, log=self._logs / "venv.log", cwd=self.root)

    def _install(self, lock: str) -> None:
        uv = self.folder / "bin" / "uv"
        if not is_current(*self._stamp(INSTALLER_LOCK, "")) or not uv.exists():
            self._pip(INSTALLER_LOCK, "Installing the package installer")
            stamp, value = self._stamp(INSTALLER_LOCK, "")
            stamp.write_text(value)
        what = "Installing Python packages" if lock == RUNTIME_LOCK else "Installing development tools"
        command = (str(uv), "pip", "install", "--python", str(self.python), "--require-hashes", "-r", lock)
        try:
            run_step(what, command, log=self._logs / "uv.log", cwd=self.root)
        except BootstrapError:
            # pip knows settings of the machine (mirrors, certificates) that uv does not read.
            self._pip(lock, f"{what}, with pip")

    def _pip(self, lock: str, what: str) -> None:
        pip = (str(self.python), "-m", "pip")
        if subprocess.run((*pip, "--version"), capture_output=True, check=False).returncode != 0:  # noqa: S603 - our own
            ensure = (str(self.python), "-m", "ensurepip")
            run_step("Adding pip", ensure, log=self._logs / "ensurepip.log", cwd=self.root)
        options = ("--disable-pip-version-check", "--no-input", "--require-hashes", "-r", lock)
        advice = "Is the package index reachable?"
        environment = machine_environment()
        run_step(
            what, (*pip, "install", *options), log=self._logs / "pip.log", cwd=self.root, env=environment, advice=advice
        )

    def _put_members_on_path(self) -> None:
        version = self._version()
        if version is None:
            raise BootstrapError(f"{self.folder} does not work: remove it and try again.")
        lines = "".join(f"{self.root / member / 'src'}\n" for member in MEMBERS)
        (self._packages(version) / "threadkeep.pth").write_text(lines)

    def _packages(self, version: str) -> Path:
        return self.folder / "lib" / f"python{version}" / "site-packages"

    def _stamp(self, lock: str, version: str) -> tuple[Path, str]:
        file = self.root / lock
        if not file.is_file():
            raise BootstrapError(f"{lock} is missing: restore it (`git checkout {lock}`).")
        return self.folder / f"threadkeep-{file.stem}.stamp", digest([file], str(self.root), version)
