"""Becomes another program, after tying its life to the launcher's and giving up root where asked.

Run as a script (`python -I -S guard.py <parent pid> <signal> <identity> <program> <argument>…`), so that none of this
happens between fork and exec of a process that has threads. The pid stays the same: the guard execs.

On Linux the kernel sends the signal when the launcher's main thread ends, however it ends (prctl(2),
PR_SET_PDEATHSIG). Elsewhere `launcher.watchdog` does it.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
UNPRIVILEGED_UID = 65534

EXIT_REFUSED = 97
"""The system refuses the identity that was asked for."""

EXIT_NOT_FOUND = 127


def enter_user_namespace() -> None:
    """Leave root by entering a user namespace in which root's own files belong to an ordinary user.

    PostgreSQL refuses to run as root; this way its files need no other owner and no path needs opening to others.
    """
    outside = os.geteuid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    with open("/proc/self/uid_map", "w") as uid_map:
        uid_map.write(f"{UNPRIVILEGED_UID} {outside} 1")


def become_nobody() -> None:
    """Leave root by taking the account `nobody`."""
    account = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def die_with(parent: int, number: int) -> None:
    """Ask the kernel to send this process the signal when its parent ends."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        raise SystemExit(0)


def main(arguments: list[str]) -> int:
    """Exec the program; returns only when that fails."""
    parent, number, identity, *command = arguments
    try:
        if identity == "namespace":
            enter_user_namespace()
        elif identity == "nobody":
            become_nobody()
        # After the change of identity: a change of credentials clears the parent-death signal.
        die_with(int(parent), int(number))
    except (OSError, KeyError) as error:
        sys.stderr.write(f"cannot run as {identity}: {error}\n")
        return EXIT_REFUSED
    try:
        os.execvp(command[0], command)  # noqa: S606 - this is what the guard is for
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error}\n")
    return EXIT_NOT_FOUND


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
