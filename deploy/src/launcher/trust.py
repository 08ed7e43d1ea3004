"""Which service may ask which other one for what: the table behind INTERNAL_TRUST."""

import json
import re
from collections.abc import Mapping
from typing import get_args

from pydantic import TypeAdapter

from contracts import principal as scope
from contracts.principal import Service, TrustedIssuer
from launcher.errors import TrustError
from launcher.secret_store import Secrets
from service_kit.internal_tokens import TokenVerifier

_RUN_TOKEN = (scope.RUNS_ITEMS, scope.TASKS)
"""What the history-service grants a worker for one run; both receivers see the whole token."""

TRUST: Mapping[Service, Mapping[str, tuple[str, ...]]] = {
    "chat-service": {"gateway": (scope.CHAT,)},
    "history-service": {
        "gateway": (scope.CONVERSATIONS_READ, scope.CONVERSATIONS_WRITE, scope.RUNS_READ),
        "chat-service": (
            *(scope.CONVERSATIONS_READ, scope.CONVERSATIONS_WRITE),
            *(scope.RUNS_CREATE, scope.RUNS_READ, scope.RUNS_CANCEL, scope.RUNS_WATCH),
        ),
        "agent-worker": (scope.RUNS_WORK,),
        "history-service": _RUN_TOKEN,
    },
    "task-tools": {"gateway": (scope.TASKS,), "history-service": _RUN_TOKEN},
}
"""Receiver → sender → scopes."""

GRANTABLE = (
    *(scope.CONVERSATIONS_READ, scope.CONVERSATIONS_WRITE),
    *(scope.RUNS_CREATE, scope.RUNS_READ, scope.RUNS_CANCEL),
    *(scope.ATTACHMENTS_READ, scope.ATTACHMENTS_WRITE),
    *(scope.USERS_EXPORT, scope.USERS_DELETE),
)
"""What another service may be granted at the history-service. With a worker's scopes it could act for everybody."""

SERVICE_TRUST = "SERVICE_TRUST"
"""The setting that names other services: a JSON object like INTERNAL_TRUST."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_ISSUERS = TypeAdapter(dict[str, TrustedIssuer])


def check_service(name: str, scopes: frozenset[str]) -> None:
    """Raise TrustError unless another service may have this name and these scopes."""
    if not _NAME.fullmatch(name):
        raise TrustError(f"“{name}” cannot be a service's name: use small letters, digits and hyphens.")
    if name in get_args(Service):
        raise TrustError(f"“{name}” is a service of Threadkeep's own: choose another name.")
    refused = sorted(scopes - set(GRANTABLE))
    if refused or not scopes:
        raise TrustError(f"{name}: {', '.join(refused) or 'no scope'}: possible are {', '.join(GRANTABLE)}.")


def read_trust(setting: str, text: str) -> dict[str, TrustedIssuer]:
    """Return the issuers in a setting that has the form of INTERNAL_TRUST. Raises TrustError."""
    try:
        issuers = _ISSUERS.validate_json(text)
        TokenVerifier("history-service", issuers)
    except ValueError as error:
        raise TrustError(f"{setting} is not what `make keys` or `make service-key` prints.") from error
    return issuers


def read_service_trust(text: str | None) -> dict[str, TrustedIssuer]:
    """Return the other services that SERVICE_TRUST names. Raises TrustError."""
    issuers = read_trust(SERVICE_TRUST, text or "{}")
    for name, issuer in issuers.items():
        check_service(name, issuer.scopes)
    return issuers


def trust_json(issuers: Mapping[str, TrustedIssuer]) -> str:
    """Return issuers in the form of INTERNAL_TRUST, always in the same words."""
    return json.dumps(
        {
            name: {**issuer.model_dump(exclude={"scopes"}, exclude_none=True), "scopes": sorted(issuer.scopes)}
            for name, issuer in issuers.items()
        }
    )


def other_services(trust: Mapping[str, TrustedIssuer]) -> dict[str, TrustedIssuer]:
    """Return the services in a table of trust that are none of Threadkeep's own."""
    return {name: issuer for name, issuer in trust.items() if name not in get_args(Service)}


def renewed_trust(receiver: Service, secrets: Secrets, table: Mapping[str, TrustedIssuer]) -> str:
    """Return a receiver's table of trust, brought up to these secrets and this version's scopes.

    A key that the table has stays good beside one that it does not know; other services stay as they are.
    """
    fresh = read_trust("INTERNAL_TRUST", internal_trust(receiver, secrets, other_services(table)))
    return trust_json({name: _beside(table.get(name), issuer) for name, issuer in fresh.items()})


def _beside(known: TrustedIssuer | None, fresh: TrustedIssuer) -> TrustedIssuer:
    if known is None:
        return fresh
    if fresh.public_key in {known.public_key, known.rotating_public_key}:
        return known.model_copy(update={"scopes": fresh.scopes})
    return fresh.model_copy(update={"public_key": known.public_key, "rotating_public_key": fresh.public_key})


def internal_trust(receiver: Service, secrets: Secrets, others: Mapping[str, TrustedIssuer] | None = None) -> str:
    """Return the value of INTERNAL_TRUST for a receiver: the senders' public keys and scopes, as JSON.

    `others` are services beside Threadkeep's own; the history-service alone has an API for them.
    """
    senders = {
        sender: TrustedIssuer(public_key=secrets.public_key(sender), scopes=frozenset(scopes))
        for sender, scopes in TRUST.get(receiver, {}).items()
    }
    return trust_json(senders | dict(others or {}) if receiver == "history-service" else senders)
