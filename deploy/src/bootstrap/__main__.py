"""`python3 -m bootstrap <command>`: what the Makefile calls. This file alone must also parse under an old Python."""

import os
import shutil
import sys

OLDEST = (3, 11)
NEWEST = (3, 14)


def use_suitable_python() -> None:
    """Continue under a suitable interpreter from PATH if this one is too old or too new; end if there is none."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        found = shutil.which("python3." + str(minor))
        if found:
            os.execv(found, [found, "-m", "bootstrap"] + sys.argv[1:])  # noqa: RUF005, S606 - for old versions, too
    version = ".".join(str(part) for part in sys.version_info[:2])
    sys.stderr.write(
        "threadkeep: Python " + version + " does not suit: install Python 3.11 to 3.14, "
        "or name one: `make up PYTHON=/path/to/python3.12`.\n"
    )
    sys.exit(1)


if __name__ == "__main__":
    use_suitable_python()
    try:
        from bootstrap.commands import main
    except KeyboardInterrupt:
        sys.exit(130)

    sys.exit(main(sys.argv[1:]))
