"""The product's services in this process, on real sockets and wired as `make up` wires them."""

import base64
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from agent_worker.app import create_app as create_worker
from agent_worker.settings import Settings as WorkerSettings
from chat_service.app import create_app as create_chat
from chat_service.settings import Settings as ChatSettings
from contracts.conversations import JsonObject
from contracts.principal import INTERNAL_ALGORITHM, Service
from gateway.app import create_app as create_gateway
from gateway.settings import Settings as GatewaySettings
from history_service.app import create_app as create_history
from history_service.migrate import migrate as migrate_history
from history_service.settings import Settings as HistorySettings
from launcher.secret_store import generate_secrets
from launcher.trust import internal_trust
from service_kit.database_settings import DatabaseSettings
from service_kit.internal_tokens import TokenSigner, generate_signing_key, public_key_of
from service_kit.openapi import operations
from task_tools.app import create_app as create_tools
from task_tools.migrate import migrate as migrate_tasks
from task_tools.settings import Settings as ToolsSettings
from tests.support.servers import serve

ISSUER = "https://auth.example"
AUDIENCE = "threadkeep"
ARCHIVE = "archive"
"""A service of somebody else's. Every receiver trusts it with all scopes that the services' documents name."""

KEEPALIVE_SECONDS = 0.2
"""Whoever looks into a silent stream sees a comment soon."""

NO_LIMITS: JsonObject = {
    "rate_limit_user": "off",
    "rate_limit_address": "off",
    "streams_per_user": 0,
    "streams_per_address": 0,
    "session_revocation_seconds": 0,
}
"""These tests ask a lot, and want to see at once what has become of a session."""

INSIDE: tuple[Service, ...] = ("chat-service", "history-service", "task-tools")


@dataclass(frozen=True)
class Face:
    """A running service as its callers know it."""

    name: Service
    url: str
    app: FastAPI
    document: JsonObject


class Keys:
    """The secrets of an installation, and those of a stranger whom nobody trusts."""

    def __init__(self) -> None:
        self.secrets = generate_secrets()
        self._others = {ARCHIVE: generate_signing_key()[0]}

    def signer(self, sender: str) -> TokenSigner:
        """Return what signs internal tokens as that sender."""
        return TokenSigner(sender, self._others.get(sender) or self.secrets.signing_keys[sender])

    def altered(self, sender: str, token: str, **claims: object) -> str:
        """Return an internal token of that sender with other claims, signed as it should be."""
        told = jwt.decode(token, options={"verify_signature": False})
        private = self._others.get(sender) or self.secrets.signing_keys[sender]
        key = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(private + "=" * (-len(private) % 4)))
        return jwt.encode({**told, **claims}, key, INTERNAL_ALGORITHM, headers=jwt.get_unverified_header(token))

    @staticmethod
    def forger(sender: str) -> TokenSigner:
        """Return what claims to be that sender, with a key of its own."""
        return TokenSigner(sender, generate_signing_key()[0])

    def trust(self, receiver: Service, scopes: list[str]) -> JsonObject:
        """Return whom the receiver trusts: the launcher's table, and the archive."""
        archive = {"public_key": public_key_of(self._others[ARCHIVE]), "scopes": scopes}
        return {**json.loads(internal_trust(receiver, self.secrets)), ARCHIVE: archive}

    def public_token(self, user_id: str, **changes: object) -> str:
        """Return a user's token as Better Auth makes it in its HS256 form; `changes` are claims."""
        now = int(time.time())
        claims = {"sub": user_id, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 900, **changes}
        return jwt.encode(claims, self.secrets.better_auth_secret, "HS256")


@dataclass(frozen=True)
class Product:
    """All services, running."""

    faces: Mapping[Service, Face]
    keys: Keys
    database_url: str
    redis_url: str

    def url(self, service: Service) -> str:
        """Return a service's address."""
        return self.faces[service].url


async def migrate(database_url: str) -> None:
    """Bring both schemas to their newest version."""
    settings = DatabaseSettings.model_validate({"database_url": database_url})
    await migrate_history(settings)
    await migrate_tasks(settings)


_CREATE: Mapping[Service, Callable[[JsonObject], FastAPI]] = {
    "history-service": lambda values: create_history(HistorySettings.model_validate(values)),
    "task-tools": lambda values: create_tools(ToolsSettings.model_validate(values)),
    "chat-service": lambda values: create_chat(ChatSettings.model_validate(values)),
}
"""The services inside, each after those that it asks."""


@asynccontextmanager
async def running_product(
    database_url: str, redis_url: str, blob_folder: Path, **gateway_settings: Any
) -> AsyncGenerator[Product]:
    """Serve everything over a migrated database until the block is left."""
    keys = Keys()
    stores: JsonObject = {
        "database_url": database_url,
        "redis_url": redis_url,
        "blob_url": blob_folder.as_uri(),
        "run_sweep_seconds": 3600,
        "keepalive_seconds": KEEPALIVE_SECONDS,
    }
    scopes = sorted({scope for create in _CREATE.values() for scope in scopes_of(create(stores).openapi())})
    faces: dict[Service, Face] = {}
    async with AsyncExitStack() as stack:
        for name, create in _CREATE.items():
            values = stores | {
                "history_url": faces["history-service"].url if faces else None,
                "internal_signing_key": keys.secrets.signing_keys.get(name),
                "internal_trust": keys.trust(name, scopes),
            }
            given = {setting: value for setting, value in values.items() if value is not None}
            faces[name] = await _serve(stack, name, create(given))
        settings = {
            "chat_url": faces["chat-service"].url,
            "history_url": faces["history-service"].url,
            "tools_url": faces["task-tools"].url,
            "redis_url": redis_url,
            "internal_signing_key": keys.secrets.signing_keys["gateway"],
            "keepalive_seconds": KEEPALIVE_SECONDS,
            "jwt_algorithm": "HS256",
            "jwt_issuer": ISSUER,
            "jwt_audience": AUDIENCE,
            "better_auth_secret": keys.secrets.better_auth_secret,
            **NO_LIMITS,
            **gateway_settings,
        }
        faces["gateway"] = await _serve(stack, "gateway", create_gateway(GatewaySettings.model_validate(settings)))
        yield Product(faces, keys, database_url, redis_url)


@asynccontextmanager
async def running_worker(product: Product) -> AsyncGenerator[None]:
    """Run an agent-worker with the demo model, as fast as it can."""
    settings = {
        "history_url": product.url("history-service"),
        "tools_url": product.url("task-tools"),
        "redis_url": product.redis_url,
        "internal_signing_key": product.keys.secrets.signing_keys["agent-worker"],
        "model_provider": "demo",
        "demo_tokens_per_second": 1e6,
        "relay_flush_ms": 0,
        "worker_poll_seconds": 0.05,
    }
    async with serve(create_worker(WorkerSettings.model_validate(settings))):
        yield


def scopes_of(document: JsonObject) -> list[str]:
    """Return every scope that some operation of the document needs."""
    needed = {
        scope
        for _, _, told in operations(document)
        for requirement in told.get("security", ())
        for scopes in requirement.values()
        for scope in scopes
    }
    return sorted(needed)


async def _serve(stack: AsyncExitStack, name: Service, app: FastAPI) -> Face:
    return Face(name, await stack.enter_async_context(serve(app)), app, app.openapi())
