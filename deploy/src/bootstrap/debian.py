"""Programs that tests and benches need: one that is there, else unpacked from Debian's packages.

Unpacked beside the project, not installed: no root is needed, and no service is left running on the machine.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bootstrap.errors import BootstrapError
from bootstrap.steps import LOGS, machine_environment, run_step

SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")
"""Where packages put programs that the PATH of an ordinary account may leave out."""

CACHE = Path(".cache")


@dataclass(frozen=True)
class DebianProgram:
    """A program of the Debian package that bears its name."""

    name: str
    title: str
    """How people write its name."""

    needed_by: str
    """What needs it, as the subject of a sentence."""

    path: Path
    """Where the package has it."""

    version_option: str
    version_exit_code: int = 0

    @property
    def variable(self) -> str:
        """The environment variable that names another one."""
        return f"{self.name.upper()}_PATH"

    @property
    def folder(self) -> Path:
        """Where it is unpacked, within the project."""
        return CACHE / self.name

    @property
    def advice(self) -> str:
        """What to do if it cannot be had."""
        return f"Install it (package {self.name} of Debian, Ubuntu, Fedora, Homebrew), or set {self.variable}."


PGBOUNCER = DebianProgram(
    "pgbouncer", "PgBouncer", "The tests of the pooler need", Path("usr/sbin/pgbouncer"), "--version"
)
NGINX = DebianProgram("nginx", "nginx", "The gateway's benches need", Path("usr/sbin/nginx"), "-v")
WRK = DebianProgram("wrk", "wrk", "The gateway's benches need", Path("usr/bin/wrk"), "--version", version_exit_code=1)

PROGRAMS: Mapping[str, DebianProgram] = {program.name: program for program in (PGBOUNCER, NGINX, WRK)}


def ensure_program(wanted: DebianProgram, root: Path, environ: Mapping[str, str]) -> Path:
    """Return the program: what its variable names, one on PATH, or Debian's, unpacked. Raises BootstrapError."""
    named = environ.get(wanted.variable)
    if named:
        if not Path(named).is_file():
            raise BootstrapError(f"{wanted.variable}={named} is not a file: correct it or unset it.")
        return Path(named)
    found = shutil.which(wanted.name, path=os.pathsep.join((environ.get("PATH", os.defpath), *SYSTEM_FOLDERS)))
    if found is not None:
        return Path(found)
    program = root / wanted.folder / wanted.name
    if not _works(wanted, program):
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise BootstrapError(f"{wanted.needed_by} {wanted.title}. {wanted.advice}")
        shutil.rmtree(program.parent, ignore_errors=True)
        _unpack(wanted, root, program)
    return program


def _works(wanted: DebianProgram, program: Path) -> bool:
    try:
        answer = subprocess.run((str(program), wanted.version_option), capture_output=True, check=False)  # noqa: S603
    except OSError:
        return False
    return answer.returncode == wanted.version_exit_code


def _unpack(wanted: DebianProgram, root: Path, program: Path) -> None:
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
    log, advice = root / LOGS / f"{wanted.name}.log", wanted.advice
    run_step("Reading the package lists", (*apt, "update"), log=log, cwd=archives, advice=advice)
    missing = _missing_packages(wanted, apt)
    run_step(f"Downloading {wanted.title}", (*apt, "download", *missing), log=log, cwd=archives, advice=advice)
    for archive in sorted(archives.glob("*.deb")):
        run_step(f"Unpacking {archive.stem}", ("dpkg-deb", "-x", str(archive), str(files)), log=log, cwd=folder)
    libraries = sorted({str(library.parent) for library in files.glob("**/lib/**/*.so.*")})
    program.write_text(
        f"#!/bin/sh\nLD_LIBRARY_PATH={shlex.quote(os.pathsep.join(libraries))}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\n"
        f'export LD_LIBRARY_PATH\nexec {shlex.quote(str(files / wanted.path))} "$@"\n'
    )
    program.chmod(0o755)
    shutil.rmtree(lists)
    if not _works(wanted, program):
        raise BootstrapError(f"The {wanted.title} in {folder} does not run. {advice}")


def _missing_packages(wanted: DebianProgram, apt: tuple[str, ...]) -> list[str]:
    """Return the program's package and the libraries that it needs and this machine lacks."""
    command = (*apt, "--simulate", "--no-install-recommends", "install", wanted.name)
    environment = machine_environment(LC_ALL="C")
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - fixed
    planned = [line.split()[1] for line in answer.stdout.splitlines() if line.startswith("Inst ")]
    if wanted.name not in planned:
        raise BootstrapError(f"{wanted.needed_by} {wanted.title}, which apt-get does not find. {wanted.advice}")
    return [name for name in planned if name == wanted.name or name.startswith("lib")]
