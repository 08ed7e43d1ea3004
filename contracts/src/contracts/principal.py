"""Who is calling: the content of a verified internal token."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Service = Literal["gateway", "chat-service", "history-service", "agent-worker", "task-tools"]
"""Names used as `iss` and `aud` of internal tokens."""

INTERNAL_ALGORITHM = "EdDSA"
INTERNAL_TYPE = "internal+jwt"
"""The `typ` header of internal tokens, by which no other token can be taken for one (RFC 8725, section 3.11)."""

MAX_TOKEN_SECONDS = 60
"""Longest life of an internal token. Receivers refuse longer ones."""

CHAT = "chat"
CONVERSATIONS_READ = "conversations:read"
CONVERSATIONS_WRITE = "conversations:write"
RUNS_CREATE = "runs:create"
RUNS_READ = "runs:read"
RUNS_CANCEL = "runs:cancel"
RUNS_WORK = "runs:work"
RUNS_WATCH = "runs:watch"
RUNS_ITEMS = "runs:items"
ATTACHMENTS_READ = "attachments:read"
ATTACHMENTS_WRITE = "attachments:write"
USERS_EXPORT = "users:export"
USERS_DELETE = "users:delete"
TASKS = "tasks"


class Principal(BaseModel):
    """An authenticated caller.

    `user_id` is the user acted for (None for a pure service principal), `issuer` the service that signed,
    `run_id` is set for a worker that acts within one run, `thread_id` for one that may touch this conversation alone.
    """

    model_config = ConfigDict(frozen=True)

    issuer: str
    scopes: frozenset[str]
    user_id: str | None = None
    run_id: str | None = None
    thread_id: str | None = None
    request_id: str | None = None


class TrustedIssuer(BaseModel):
    """A sender that a service accepts: its public key (base64url, raw Ed25519) and what it may ask for.

    While the sender's key is being replaced, `rotating_public_key` is the other one, and both are good.
    """

    model_config = ConfigDict(frozen=True)

    public_key: str
    rotating_public_key: str | None = None
    scopes: frozenset[str]
