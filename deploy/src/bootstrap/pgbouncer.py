"""A PgBouncer for the tests of the transaction pooler: one that is there, else unpacked from Debian's packages.

Unpacked beside the project, not installed: no root is needed, and no service is left running on the machine.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bootstrap.errors import BootstrapError
from bootstrap.steps import LOGS, machine_environment, run_step

FOLDER = Path(".cache") / "pgbouncer"
SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")
"""Where packages put it that the PATH of an ordinary account may leave out."""

_ADVICE = "Install it (package pgbouncer of Debian, Ubuntu, Fedora, Homebrew), or set PGBOUNCER_PATH."


def ensure_pgbouncer(root: Path, environ: Mapping[str, str]) -> Path:
    """Return the program: PGBOUNCER_PATH, one on PATH, or Debian's, unpacked. Raises BootstrapError."""
    named = environ.get("PGBOUNCER_PATH")
    if named:
        if not Path(named).is_file():
            raise BootstrapError(f"PGBOUNCER_PATH={named} is not a file: correct it or unset it.")
        return Path(named)
    found = shutil.which("pgbouncer", path=os.pathsep.join((environ.get("PATH", os.defpath), *SYSTEM_FOLDERS)))
    if found is not None:
        return Path(found)
    program = root / FOLDER / "pgbouncer"
    if not _works(program):
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise BootstrapError(f"The tests of the pooler need PgBouncer. {_ADVICE}")
        shutil.rmtree(program.parent, ignore_errors=True)
        _unpack(root, program)
    return program


def _works(program: Path) -> bool:
    try:
        return subprocess.run((str(program), "--version"), capture_output=True, check=False).returncode == 0  # noqa: S603
    except OSError:
        return False


def _unpack(root: Path, program: Path) -> None:
    folder = program.parent
    lists, archives, files = (folder / name for name in ("lists", "archives", "files"))
    for place in (lists, archives, files):
        place.mkdir(parents=True)
    # Lists and downloads of our own; what is installed already is read from the machine.
    settings = (
        f"Dir::State::Lists={lists}",
        f"Dir::Cache={folder}",
        "APT::Sandbox::User=root",
        "Debug::NoLocking=true",
    )
    apt = ("apt-get", "-q", *(part for setting in settings for part in ("-o", setting)))
    log = root / LOGS / "pgbouncer.log"
    run_step("Reading the package lists", (*apt, "update"), log=log, cwd=archives, advice=_ADVICE)
    missing = _missing_packages(apt)
    run_step("Downloading PgBouncer", (*apt, "download", *missing), log=log, cwd=archives, advice=_ADVICE)
    for archive in sorted(archives.glob("*.deb")):
        run_step(f"Unpacking {archive.stem}", ("dpkg-deb", "-x", str(archive), str(files)), log=log, cwd=folder)
    libraries = sorted({str(library.parent) for library in files.glob("**/lib/**/*.so.*")})
    program.write_text(
        f"#!/bin/sh\nLD_LIBRARY_PATH={shlex.quote(os.pathsep.join(libraries))}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\n"
        f'export LD_LIBRARY_PATH\nexec {shlex.quote(str(files / "usr/sbin/pgbouncer"))} "$@"\n'
    )
    program.chmod(0o755)
    shutil.rmtree(lists)
    if not _works(program):
        raise BootstrapError(f"The PgBouncer in {folder} does not run. {_ADVICE}")


def _missing_packages(apt: tuple[str, ...]) -> list[str]:
    """Return `pgbouncer` and the libraries that it needs and this machine lacks."""
    command = (*apt, "--simulate", "--no-install-recommends", "install", "pgbouncer")
    environment = machine_environment(LC_ALL="C")
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - fixed
    planned = [line.split()[1] for line in answer.stdout.splitlines() if line.startswith("Inst ")]
    if "pgbouncer" not in planned:
        raise BootstrapError(f"The tests of the pooler need PgBouncer, which apt-get does not find. {_ADVICE}")
    return [name for name in planned if name == "pgbouncer" or name.startswith("lib")]
