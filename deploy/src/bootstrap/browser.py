"""A Chromium for the browser tests: one that is there, else installed."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bootstrap.errors import BootstrapError
from bootstrap.steps import LOGS, machine_environment, run_step

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC_APPLICATION = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
DEBIAN_PACKAGES = ("chromium", "fonts-dejavu-core")


def ensure_browser(root: Path, environ: Mapping[str, str]) -> Path:
    """Return the program: CHROMIUM_PATH, one on PATH, Debian's package (as root), or Playwright's own download."""
    named = environ.get("CHROMIUM_PATH")
    if named:
        if not Path(named).is_file():
            raise BootstrapError(f"CHROMIUM_PATH={named} is not a file: correct it or unset it.")
        return Path(named)
    found = _installed()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get") is not None:
        _install_with_apt(root)
        found = _installed()
    return found or _install_with_playwright(root)


def _installed() -> Path | None:
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    return MAC_APPLICATION if MAC_APPLICATION.is_file() else None


def _install_with_apt(root: Path) -> None:
    environment = machine_environment(DEBIAN_FRONTEND="noninteractive")
    logs = root / LOGS
    steps = {
        "Reading the package lists": ("apt-get", "update", "-q"),
        "Installing Chromium": ("apt-get", "install", "-q", "-y", "--no-install-recommends", *DEBIAN_PACKAGES),
    }
    try:
        for what, command in steps.items():
            run_step(what, command, log=logs / "browser-apt.log", cwd=root, env=environment)
    except BootstrapError:
        # Not every machine with apt-get has Chromium in its lists: Playwright's download is left.
        return


def _install_with_playwright(root: Path) -> Path:
    frontend = root / "frontend"
    advice = "Install Chromium or Chrome yourself, or set CHROMIUM_PATH."
    if shutil.which("node") is None or not (frontend / "node_modules" / "playwright-core" / "cli.js").is_file():
        raise BootstrapError(f"The browser tests need a browser. {advice}")
    run_step(
        "Downloading Chromium",
        ("node", "node_modules/playwright-core/cli.js", "install", "chromium"),
        log=root / LOGS / "browser-download.log",
        cwd=frontend,
        advice=advice,
    )
    question = "process.stdout.write(require('playwright-core').chromium.executablePath())"
    command = (shutil.which("node") or "node", "-e", question)
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=frontend)  # noqa: S603 - from PATH
    program = Path(answer.stdout.strip())
    if answer.returncode != 0 or not program.is_file():
        raise BootstrapError(f"The downloaded browser was not found. {advice}")
    return program
