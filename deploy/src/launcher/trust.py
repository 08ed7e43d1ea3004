"""Which service may ask which other one for what: the table behind INTERNAL_TRUST."""

import json
from collections.abc import Mapping

from contracts import principal as scope
from contracts.principal import Service
from launcher.secret_store import Secrets

_RUN_TOKEN = (scope.RUNS_ITEMS, scope.TASKS)
"""What the history-service grants a worker for one run; both receivers see the whole token."""

TRUST: Mapping[Service, Mapping[str, tuple[str, ...]]] = {
    "chat-service": {"gateway": (scope.CHAT,)},
    "history-service": {
        "gateway": (scope.CONVERSATIONS_READ, scope.CONVERSATIONS_WRITE, scope.RUNS_READ),
        "chat-service": (
            *(scope.CONVERSATIONS_READ, scope.CONVERSATIONS_WRITE),
            *(scope.RUNS_CREATE, scope.RUNS_READ, scope.RUNS_CANCEL),
        ),
        "agent-worker": (scope.RUNS_WORK,),
        "history-service": _RUN_TOKEN,
    },
    "task-tools": {"gateway": (scope.TASKS,), "history-service": _RUN_TOKEN},
}
"""Receiver → sender → scopes."""


def internal_trust(receiver: Service, secrets: Secrets) -> str:
    """Return the value of INTERNAL_TRUST for a receiver: the senders' public keys and scopes, as JSON."""
    senders = TRUST.get(receiver, {})
    return json.dumps(
        {
            sender: {"public_key": secrets.public_key(sender), "scopes": list(scopes)}
            for sender, scopes in senders.items()
        }
    )
