"""`python -m launcher.keys`: prints what docker-compose.yml needs and `.env` has not, in the form of `.env`.

All secrets for a new installation; for one that has them, nothing, or the tables of trust that a newer version needs.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from contracts.principal import Service
from launcher.errors import LauncherError, SecretsError
from launcher.secret_store import Secrets, complete_secrets
from launcher.settings import load_settings
from launcher.trust import read_trust, renewed_trust

PLAIN_SECRETS = {
    "POSTGRES_PASSWORD": "postgres_superuser_password",
    "DATABASE_PASSWORD": "database_password",
    "REDIS_PASSWORD": "redis_password",
    "BETTER_AUTH_SECRET": "better_auth_secret",
}
SIGNING_KEYS = {
    "GATEWAY_SIGNING_KEY": "gateway",
    "CHAT_SIGNING_KEY": "chat-service",
    "HISTORY_SIGNING_KEY": "history-service",
    "WORKER_SIGNING_KEY": "agent-worker",
}
TRUST_TABLES: Mapping[str, Service] = {
    "CHAT_TRUST": "chat-service",
    "HISTORY_TRUST": "history-service",
    "TOOLS_TRUST": "task-tools",
}


def compose_environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that docker-compose.yml asks for. None that is new holds a quote or a dollar sign.

    Secrets in `given` stay, others are made, and the tables of trust are brought up to both. Raises LauncherError.
    """
    secrets = _secrets(given)
    tables = {name: read_trust(name, given.get(name, "{}")) for name in TRUST_TABLES}
    return {
        **{name: str(getattr(secrets, field)) for name, field in PLAIN_SECRETS.items()},
        **{name: secrets.signing_keys[sender] for name, sender in SIGNING_KEYS.items()},
        **{name: renewed_trust(TRUST_TABLES[name], secrets, table) for name, table in tables.items()},
    }


def _secrets(given: Mapping[str, str]) -> Secrets:
    plain = {field: given[name] for name, field in PLAIN_SECRETS.items() if name in given}
    keys = {sender: given[name] for name, sender in SIGNING_KEYS.items() if name in given}
    secrets = complete_secrets({**plain, "signing_keys": keys})
    for name, sender in SIGNING_KEYS.items():
        try:
            secrets.public_key(sender)
        except ValueError as error:
            raise SecretsError(f"{name} is not what `make keys` prints.") from error
    return secrets


def main() -> int:
    """Print one `NAME='value'` a line, of those that are missing or have changed; returns the exit code."""
    try:
        given = load_settings(Path.cwd(), os.environ).environment  # noqa: TID251 - this is where it is read
        wanted = compose_environment(given)
    except LauncherError as error:
        sys.stderr.write(f"threadkeep: {error}\n")
        return 1
    changed = {name: value for name, value in wanted.items() if given.get(name) != value}
    replaced = sorted(changed.keys() & given.keys())
    if not changed:
        sys.stderr.write("Nothing to add: .env has all that docker-compose.yml asks for.\n")
    if replaced:
        sys.stderr.write(f"In place of what .env has: {', '.join(replaced)}. Of two lines the later one counts.\n")
    for name, value in changed.items():
        sys.stdout.write(f"{name}='{value}'\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
