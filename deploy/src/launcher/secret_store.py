"""The secrets of one installation: generated once, kept in `<DATA_DIR>/secrets.json`, readable by the owner alone."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import cast

from contracts.principal import Service
from launcher.errors import SecretsError
from service_kit.internal_tokens import generate_signing_key, public_key_of

SENDERS: tuple[Service, ...] = ("gateway", "chat-service", "history-service", "agent-worker")
"""Services that sign internal tokens, each with a key of its own."""

PLAIN_SECRETS = ("better_auth_secret", "database_password", "postgres_superuser_password", "redis_password")
SECRET_BYTES = 32


@dataclass(frozen=True)
class Secrets:
    """All secrets of an installation."""

    better_auth_secret: str
    database_password: str
    postgres_superuser_password: str
    redis_password: str
    signing_keys: Mapping[str, str]
    """Ed25519 private keys by sender, base64url."""

    def __repr__(self) -> str:
        return "Secrets(…)"

    def public_key(self, sender: str) -> str:
        """Return the public key (base64url, raw) of a sender."""
        return public_key_of(self.signing_keys[sender])


def load_secrets(path: Path) -> Secrets:
    """Read the file, adding what is missing from it. Raises SecretsError when it is damaged, and leaves it alone."""
    stored = _read(path)
    complete = _completed(stored)
    try:
        secrets = _parsed(complete)
        for sender in SENDERS:
            secrets.public_key(sender)
    except (TypeError, ValueError) as error:
        raise _damaged(path) from error
    if complete != stored:
        _write(path, complete)
    elif path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return secrets


def generate_secrets() -> Secrets:
    """Make a new set of secrets without storing it."""
    return complete_secrets({})


def complete_secrets(known: Mapping[str, object]) -> Secrets:
    """Return known secrets, named as in the file, with new ones for those that are missing; stores nothing."""
    return _parsed(_completed(known))


def _parsed(content: Mapping[str, object]) -> Secrets:
    plain = {name: str(content[name]) for name in PLAIN_SECRETS}
    return Secrets(**plain, signing_keys=cast(dict[str, str], content["signing_keys"]))


def _completed(stored: Mapping[str, object]) -> dict[str, object]:
    complete = dict(stored)
    for name in PLAIN_SECRETS:
        complete.setdefault(name, token_urlsafe(SECRET_BYTES))
    keys = complete.get("signing_keys", {})
    if isinstance(keys, dict):
        known = cast(dict[str, str], keys)
        complete["signing_keys"] = {name: generate_signing_key()[0] for name in SENDERS if name not in known} | known
    return complete


def _read(path: Path) -> dict[str, object]:
    try:
        content: object = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise _damaged(path) from error
    except OSError as error:
        raise SecretsError(f"Cannot read {path}: {error.strerror}. Give it to the account you start as.") from error
    if not isinstance(content, dict):
        raise _damaged(path)
    return cast(dict[str, object], content)


def _write(path: Path, content: Mapping[str, object]) -> None:
    """Replace the file in one step, so that a crash leaves the old one or the new one."""
    fresh = path.with_suffix(".new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise SecretsError(f"Cannot write {path}: {error.strerror}. Set DATA_DIR to a folder you may write.") from error


def _damaged(path: Path) -> SecretsError:
    return SecretsError(
        f"{path} is damaged: restore it from a backup, or move DATA_DIR away to start with an empty installation."
    )
