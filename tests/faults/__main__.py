"""`make faults`: hold conversations while processes and connections fail, and count what was lost or doubled.

Settings (environment): RUNS (100) user messages in all, STREAMS (12) conversations at once, SEED (printed; the same
seed makes the same choices), FAULT_SECONDS (2-6) between two faults, RUN_LEASE_SECONDS, WORKERS (2), ONLY (a
conversation's number, to hold that one alone); RECOVERY=1 measures instead how long it takes to go on after each
process was killed, ROUNDS (3) times. Everything happens on this machine, in a temporary folder, and ends by
itself; the folder stays, with all logs, when a promise was broken.
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.faults.options import Options, options_from_environment, recovery_rounds
from tests.faults.recovery import measure_all
from tests.faults.report import table, write_journals
from tests.faults.suite import run_suite

KEPT_DATA = ("logs",)


def main(options: Options) -> int:
    """Run it all; returns the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="threadkeep-faults-"))
    sys.stdout.write(f"seed {options.seed}\n")
    sys.stdout.flush()
    keep = True
    try:
        outcome = asyncio.run(run_suite(options, folder))
        keep = bool(outcome.broken)
        sys.stdout.write(table(outcome))
        if keep:
            write_journals(outcome, folder)
            sys.stdout.write("".join(f"  {what}\n" for what in outcome.broken))
            sys.stdout.write(f"again: make faults SEED={options.seed} RUNS={options.runs}\nlogs: {folder}\n")
    finally:
        _tidy(folder, keep)
    return 1 if keep else 0


def _tidy(folder: Path, keep: bool) -> None:
    """Remove the folder, or all of it but the logs and journals."""
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in (folder / "data").glob("*"):
        if path.is_dir() and path.name not in KEPT_DATA:
            shutil.rmtree(path, ignore_errors=True)
    for secret in (folder / "data").glob("secrets.json*"):
        secret.unlink()


def measure(rounds: int) -> int:
    """Print the table of recovery times; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="threadkeep-faults-") as folder:
        asyncio.run(measure_all(rounds, Path(folder)))
    return 0


if __name__ == "__main__":
    rounds = recovery_rounds()
    try:
        sys.exit(measure(rounds) if rounds else main(options_from_environment()))
    except KeyboardInterrupt:
        sys.exit(130)
