"""Keys of other services: what is printed is what the launcher and the history-service take."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from contracts.principal import CONVERSATIONS_READ, RUNS_READ, RUNS_WORK, TrustedIssuer
from launcher.environments import Addresses, Environments
from launcher.errors import TrustError
from launcher.secret_store import Secrets, generate_secrets
from launcher.service_keys import service_key
from launcher.settings import load_settings, parse_dotenv
from launcher.trust import internal_trust
from service_kit.internal_tokens import InternalTokenError, TokenSigner, TokenVerifier

READ = frozenset({CONVERSATIONS_READ})


@pytest.fixture(scope="module")
def secrets() -> Secrets:
    return generate_secrets()


def verifier(secrets: Secrets, service_trust: str) -> TokenVerifier:
    """Verify as the history-service that is started with this SERVICE_TRUST."""
    settings = load_settings(Path("/nowhere"), {"SERVICE_TRUST": service_trust})
    environment = Environments(settings, secrets, Addresses("postgresql://localhost/x", "redis://localhost")).of(
        "history-service"
    )
    trust = TypeAdapter(dict[str, TrustedIssuer]).validate_json(environment["INTERNAL_TRUST"])
    return TokenVerifier("history-service", trust)


def token(key: str, *scopes: str) -> str:
    return TokenSigner("reporting", key).sign("history-service", scopes, user_id="ann")


def test_a_printed_key_opens_what_was_granted_and_no_more(secrets: Secrets) -> None:
    printed = parse_dotenv(service_key({}, "reporting", READ))
    history = verifier(secrets, printed["SERVICE_TRUST"])

    assert history.verify(token(printed["INTERNAL_SIGNING_KEY"], CONVERSATIONS_READ)).user_id == "ann"
    with pytest.raises(InternalTokenError):
        history.verify(token(printed["INTERNAL_SIGNING_KEY"], RUNS_READ))
    assert printed["INTERNAL_SIGNING_KEY"] not in printed["SERVICE_TRUST"]
    gateway = TokenSigner("gateway", secrets.signing_keys["gateway"])
    assert history.verify(gateway.sign("history-service", READ)).issuer == "gateway", "the others are trusted as before"


def test_no_other_receiver_hears_of_it(secrets: Secrets) -> None:
    printed = parse_dotenv(service_key({}, "reporting", READ))
    settings = load_settings(Path("/nowhere"), printed)
    environments = Environments(settings, secrets, Addresses("postgresql://localhost/x", "redis://localhost"))
    for service in ("gateway", "chat-service", "agent-worker", "task-tools", "frontend"):
        assert "reporting" not in "".join(environments.of(service).values())


def test_a_second_key_is_good_beside_the_first(secrets: Secrets) -> None:
    first = parse_dotenv(service_key({}, "reporting", READ))
    second = parse_dotenv(service_key(first, "reporting", frozenset()))
    history = verifier(secrets, second["SERVICE_TRUST"])

    for printed in (first, second):
        assert history.verify(token(printed["INTERNAL_SIGNING_KEY"], CONVERSATIONS_READ)).issuer == "reporting"
    with pytest.raises(TrustError, match="two keys"):
        service_key(second, "reporting", frozenset())


def test_services_are_added_to_those_that_are_there(secrets: Secrets) -> None:
    first = parse_dotenv(service_key({}, "reporting", READ))
    compose = {**first, "HISTORY_TRUST": internal_trust("history-service", secrets)}
    printed = parse_dotenv(service_key(compose, "archive", READ))

    parse = TypeAdapter(dict[str, TrustedIssuer]).validate_json
    assert set(parse(printed["SERVICE_TRUST"])) == {"reporting", "archive"}
    own = {"gateway", "chat-service", "agent-worker", "history-service"}
    assert set(parse(printed["HISTORY_TRUST"])) == {"reporting", "archive", *own}


@pytest.mark.parametrize(
    ("name", "scopes"),
    [
        ("gateway", READ),
        ("history-service", READ),
        ("Reporting", READ),
        ("a b", READ),
        ("", READ),
        ("reporting", frozenset[str]()),
        ("reporting", READ | {RUNS_WORK}),
        ("reporting", frozenset({"everything"})),
    ],
)
def test_names_and_scopes_of_threadkeeps_own_are_refused(secrets: Secrets, name: str, scopes: frozenset[str]) -> None:
    with pytest.raises(TrustError):
        service_key({}, name, scopes)
    granted = TrustedIssuer(public_key=secrets.public_key("gateway"), scopes=scopes)
    with pytest.raises(TrustError):
        verifier(secrets, TypeAdapter(dict[str, TrustedIssuer]).dump_json({name: granted}).decode())


@pytest.mark.parametrize("text", ["{", "[]", '{"reporting": {}}', '{"reporting": {"public_key": "x", "scopes": []}}'])
def test_a_damaged_setting_stops_the_launcher(secrets: Secrets, text: str) -> None:
    with pytest.raises(TrustError):
        verifier(secrets, text)


def test_the_program_prints_it_and_stores_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "launcher.service_keys", "reporting"]
    run = subprocess.run([*command, CONVERSATIONS_READ], cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S603
    assert set(parse_dotenv(run.stdout)) == {"INTERNAL_SIGNING_KEY", "SERVICE_TRUST"}
    assert list(tmp_path.iterdir()) == []
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "no scope" in refused.stderr
