"""Each process gets what it needs, and no other's secrets."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter
from pydantic_settings import BaseSettings

from agent_worker.settings import Settings as WorkerSettings
from chat_service.settings import Settings as ChatSettings
from contracts.principal import Service, TrustedIssuer
from gateway.settings import Settings as GatewaySettings
from history_service.settings import Settings as HistorySettings
from launcher.environments import OPTIONAL, Addresses, Environments
from launcher.secret_store import Secrets, generate_secrets
from launcher.settings import load_settings
from launcher.trust import TRUST
from service_kit.internal_tokens import InternalTokenError, TokenSigner, TokenVerifier
from task_tools.settings import Settings as ToolsSettings

ADDRESSES = Addresses("postgresql://threadkeep:pg-secret@127.0.0.1/threadkeep", "redis://:redis-secret@127.0.0.1/0")
SECRET_NAMES = {
    *("DATABASE_URL", "REDIS_URL", "BETTER_AUTH_SECRET", "MODEL_API_KEY", "OPENAI_API_KEY"),
    *("INTERNAL_SIGNING_KEY", "INTERNAL_TRUST", "BLOB_S3_SECRET_ACCESS_KEY"),
}
ALLOWED = {
    "gateway": {"REDIS_URL", "INTERNAL_SIGNING_KEY"},
    "chat-service": {"REDIS_URL", "INTERNAL_SIGNING_KEY", "INTERNAL_TRUST"},
    "history-service": {"DATABASE_URL", "INTERNAL_SIGNING_KEY", "INTERNAL_TRUST", "BLOB_S3_SECRET_ACCESS_KEY"},
    "agent-worker": {"REDIS_URL", "MODEL_API_KEY", "OPENAI_API_KEY", "INTERNAL_SIGNING_KEY"},
    "task-tools": {"DATABASE_URL", "INTERNAL_TRUST"},
    "frontend": {"DATABASE_URL", "BETTER_AUTH_SECRET"},
}
SETTINGS: dict[str, type[BaseSettings]] = {
    "gateway": GatewaySettings,
    "chat-service": ChatSettings,
    "history-service": HistorySettings,
    "agent-worker": WorkerSettings,
    "task-tools": ToolsSettings,
}
NOT_NEEDED = {
    "gateway": {"BETTER_AUTH_SECRET", "INTERNAL_TRUST"},
    "chat-service": {"MODEL_BASE_URL", "OPENAI_API_KEY"},
    "task-tools": {"INTERNAL_SIGNING_KEY"},
    "agent-worker": {"INTERNAL_TRUST"},
}
"""Settings a service has but is not given: another one's secrets, or what only some configurations use."""


@pytest.fixture(scope="module")
def secrets() -> Secrets:
    return generate_secrets()


def environments(secrets: Secrets, **environ: str) -> Environments:
    keys = {
        "MODEL_API_KEY": "model-secret",
        "OPENAI_API_KEY": "openai-secret",
        "BLOB_S3_SECRET_ACCESS_KEY": "s3-secret",
    }
    given = {**keys, "MODEL": "m", **environ}
    return Environments(load_settings(Path("/nowhere"), given), secrets, ADDRESSES)


@pytest.mark.parametrize("service", sorted(ALLOWED))
def test_a_service_gets_no_secret_but_its_own(secrets: Secrets, service: str) -> None:
    env = environments(secrets, AWS_SECRET_ACCESS_KEY="x").of(service)

    assert set(env) & SECRET_NAMES == ALLOWED[service]
    assert "AWS_SECRET_ACCESS_KEY" not in env
    others = [key for sender, key in secrets.signing_keys.items() if sender != service]
    hidden = [*others, secrets.postgres_superuser_password]
    assert not [value for value in env.values() if any(secret in value for secret in hidden)]


def test_the_shared_secret_goes_to_the_gateway_only_when_it_verifies_with_it(secrets: Secrets) -> None:
    assert "BETTER_AUTH_SECRET" not in environments(secrets).of("gateway")
    symmetric = environments(secrets, JWT_ALGORITHM="HS256", BETTER_AUTH_SECRET="mine").of("gateway")
    assert symmetric["BETTER_AUTH_SECRET"] == "mine"


@pytest.mark.parametrize("service", sorted(SETTINGS))
def test_every_setting_of_a_service_reaches_it(secrets: Secrets, service: str) -> None:
    names = {name.upper() for name in SETTINGS[service].model_fields}
    everything = dict.fromkeys(OPTIONAL[service], "1")
    reached = set(environments(secrets, **everything, LOG_LEVEL="INFO", SHUTDOWN_GRACE_SECONDS="1").of(service))
    assert names - reached == NOT_NEEDED.get(service, set())


@pytest.mark.parametrize("receiver", ["chat-service", "history-service", "task-tools"])
def test_a_receiver_accepts_each_sender_with_its_scopes_and_no_other(secrets: Secrets, receiver: Service) -> None:
    text = environments(secrets).of(receiver)["INTERNAL_TRUST"]
    verifier = TokenVerifier(receiver, TypeAdapter(dict[str, TrustedIssuer]).validate_json(text))

    for sender, key in secrets.signing_keys.items():
        signer = TokenSigner(sender, key)
        granted = TRUST[receiver].get(sender, ())
        if granted:
            assert verifier.verify(signer.sign(receiver, granted)).scopes == set(granted)
        with pytest.raises(InternalTokenError):
            verifier.verify(signer.sign(receiver, [*granted, "everything"]))
