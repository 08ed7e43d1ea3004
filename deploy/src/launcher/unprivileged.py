"""How a program that refuses root is run when the launcher is root."""

import functools
import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

from launcher.children import Identity
from launcher.errors import EmbeddedDatabaseError

_GUARD = Path(__file__).with_name("guard.py")
_NEVER = "0"


@functools.cache
def choose_identity() -> Identity:
    """Return how to leave root: a user namespace where the system allows it, else the account `nobody`."""
    if os.geteuid() != 0:
        return "self"
    if _works("namespace"):
        return "namespace"
    if _works("nobody"):
        return "nobody"
    raise EmbeddedDatabaseError(
        "PostgreSQL refuses to run as root and this system lets nobody else run it: "
        "start as an ordinary user, or set DATABASE_URL."
    )


def hand_over(folder: Path, identity: Identity) -> None:
    """Give the folder and its content to the account that the identity has outside, unless it owns it already."""
    if identity == "self":
        return
    owner = pwd.getpwnam("nobody").pw_uid if identity == "nobody" else 0
    if folder.stat().st_uid == owner:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, -1, follow_symlinks=False)


def let_through(folder: Path, identity: Identity) -> None:
    """Let the account `nobody` pass through a folder of ours, without listing it."""
    if identity == "nobody":
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH)


def _works(identity: Identity) -> bool:
    # The interpreter itself must be within reach of the other account, and so must the wheel beside it.
    program = (sys.executable, "-I", "-S", "-c", "pass")
    guard = (sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), _NEVER, identity)
    answer = subprocess.run((*guard, *program), capture_output=True, check=False)  # noqa: S603 - our own program
    return answer.returncode == 0
