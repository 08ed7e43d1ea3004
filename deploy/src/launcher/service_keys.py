"""`python -m launcher.service_keys NAME SCOPE…`: a key for another service that uses the history API.

A service that has a key gets a second one beside it, so that it can change over without a request refused.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from contracts.principal import TrustedIssuer
from launcher.errors import LauncherError, TrustError
from launcher.settings import load_settings
from launcher.trust import SERVICE_TRUST, check_service, other_services, read_service_trust, read_trust, trust_json
from service_kit.internal_tokens import generate_signing_key

COMPOSE_TRUST = "HISTORY_TRUST"
"""What docker-compose.yml gives the history-service as INTERNAL_TRUST."""


def granted(known: TrustedIssuer | None, name: str, public_key: str, scopes: frozenset[str]) -> TrustedIssuer:
    """Return what the history-service is to know of a service that gets this key. Raises TrustError."""
    wanted = scopes or (known.scopes if known else frozenset())
    check_service(name, wanted)
    if known is None:
        return TrustedIssuer(public_key=public_key, scopes=wanted)
    if known.rotating_public_key is not None:
        raise TrustError(f"{name} has two keys: keep the one in use as its public_key, and take the other one away.")
    return TrustedIssuer(public_key=known.public_key, rotating_public_key=public_key, scopes=wanted)


def service_key(environment: Mapping[str, str], name: str, scopes: frozenset[str]) -> str:
    """Make a key; returns what to put where, in the form of `.env`. Nothing is stored. Raises TrustError."""
    signing_key, public_key = generate_signing_key()
    installed = read_trust(COMPOSE_TRUST, environment.get(COMPOSE_TRUST, "{}"))
    others = read_service_trust(environment.get(SERVICE_TRUST)) | other_services(installed)
    others[name] = granted(others.get(name), name, public_key, scopes)
    lines = [
        f"# The private key: among the secrets of {name}, and nowhere else.",
        f"INTERNAL_SIGNING_KEY='{signing_key}'",
        "# What the history-service is told; no secret. For .env, in place of the line that is there:",
        f"{SERVICE_TRUST}='{trust_json(others)}'",
    ]
    if installed:
        lines.append(f"{COMPOSE_TRUST}='{trust_json(installed | others)}'")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Print a new key and its grant; returns the exit code."""
    if not arguments:
        sys.stderr.write('usage: make service-key NAME=reporting SCOPES="conversations:read"\n')
        return 2
    try:
        environment = load_settings(Path.cwd(), os.environ).environment  # noqa: TID251 - this is where it is read
        sys.stdout.write(service_key(environment, arguments[0], frozenset(arguments[1:])))
    except LauncherError as error:
        sys.stderr.write(f"threadkeep: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
