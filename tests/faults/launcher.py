"""The launcher as it is, but that services reach each other and the databases through other ports.

Run as `python -m tests.faults.launcher`. DETOURS has, as JSON, the port to use in place of another one, by service.
"""

import json
import os
import re
import sys
from collections.abc import Mapping

from launcher import __main__ as program
from launcher import running
from launcher.environments import Environments

DETOURS = "DETOURS"

Detours = Mapping[str, Mapping[str, int]]
"""By service: which port (as text, a key in JSON) is replaced by which."""

_DETOURS: Detours = json.loads(os.environ.get(DETOURS, "{}"))  # noqa: TID251 - the program's own setting


class DetouredEnvironments(Environments):
    """Changes the ports in the addresses that a service is given."""

    def of(self, service: str, **extra: str) -> dict[str, str]:
        """Return the environment of a service with its detours."""
        environment = super().of(service, **extra)
        for port, other in _DETOURS.get(service, {}).items():
            for name, value in environment.items():
                if name.endswith("_URL"):
                    environment[name] = re.sub(rf":{port}(?=/|$)", f":{other}", value)
        return environment


if __name__ == "__main__":
    running.Environments = DetouredEnvironments
    sys.exit(program.main(sys.argv[1:]))
