"""`make keys` makes an installation's secrets once, and afterwards prints what a newer version needs beside them."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from contracts.principal import CONVERSATIONS_READ, RUNS_READ, RUNS_WATCH, TrustedIssuer
from launcher.keys import compose_environment
from launcher.service_keys import service_key
from launcher.settings import parse_dotenv
from service_kit.internal_tokens import TokenSigner, TokenVerifier

MAKEFILE = Path(__file__).parents[3] / "Makefile"
PARSE = TypeAdapter(dict[str, TrustedIssuer])


def history(environment: dict[str, str]) -> TokenVerifier:
    return TokenVerifier("history-service", PARSE.validate_json(environment["HISTORY_TRUST"]))


def of_an_older_version() -> tuple[dict[str, str], str]:
    """Return an environment whose chat-service may not watch runs yet, and the key of another service in it."""
    made = compose_environment({})
    table = PARSE.validate_json(made["HISTORY_TRUST"])
    chat = table["chat-service"]
    table["chat-service"] = chat.model_copy(update={"scopes": chat.scopes - {RUNS_WATCH}})
    older = {**made, "HISTORY_TRUST": PARSE.dump_json(table, exclude_none=True).decode()}
    printed = parse_dotenv(service_key(older, "reporting", frozenset({CONVERSATIONS_READ})))
    return {**older, "HISTORY_TRUST": printed["HISTORY_TRUST"]}, printed["INTERNAL_SIGNING_KEY"]


def test_an_update_changes_the_table_of_trust_alone() -> None:
    older, reporting = of_an_older_version()
    newer = compose_environment(older)

    assert {name for name in newer if newer[name] != older[name]} == {"HISTORY_TRUST"}
    chat = TokenSigner("chat-service", older["CHAT_SIGNING_KEY"]).sign("history-service", [RUNS_WATCH])
    assert history(newer).verify(chat).issuer == "chat-service"
    other = TokenSigner("reporting", reporting).sign("history-service", [CONVERSATIONS_READ], user_id="ann")
    assert history(newer).verify(other).issuer == "reporting"


def test_a_key_that_was_taken_out_gets_a_second_one_beside_it() -> None:
    made = compose_environment({})
    without = {name: value for name, value in made.items() if name != "GATEWAY_SIGNING_KEY"}
    newer = compose_environment(without)

    assert newer["GATEWAY_SIGNING_KEY"] != made["GATEWAY_SIGNING_KEY"]
    for key in (made["GATEWAY_SIGNING_KEY"], newer["GATEWAY_SIGNING_KEY"]):
        token = TokenSigner("gateway", key).sign("history-service", [RUNS_READ], user_id="ann")
        assert history(newer).verify(token).issuer == "gateway"
    assert compose_environment(newer) == newer, "both stay until somebody takes the old one away"


def test_a_second_key_of_another_service_keeps_the_first_where_only_compose_knows_it() -> None:
    environment, first = of_an_older_version()
    printed = parse_dotenv(service_key(environment, "reporting", frozenset()))

    for key in (first, printed["INTERNAL_SIGNING_KEY"]):
        token = TokenSigner("reporting", key).sign("history-service", [CONVERSATIONS_READ], user_id="ann")
        assert history(printed).verify(token).issuer == "reporting"


def keys(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "launcher.keys"]
    return subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, check=False)  # noqa: S603


def test_the_program_repeats_nothing_and_names_what_it_cannot_use(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(keys(tmp_path).stdout)
    again = keys(tmp_path)
    assert (again.returncode, again.stdout) == (0, "")

    dotenv.write_text(dotenv.read_text() + "GATEWAY_SIGNING_KEY=short\n")
    refused = keys(tmp_path)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "GATEWAY_SIGNING_KEY" in refused.stderr


@pytest.mark.parametrize(("arguments", "expected"), [([], set[str]()), (["WORKERS=3"], {"WORKERS=3"})])
def test_make_hides_no_setting_of_the_file_behind_an_empty_one(arguments: list[str], expected: set[str]) -> None:
    command = ["make", "--no-print-directory", "-f", str(MAKEFILE), "-f", "-", "shown", *arguments]
    shown = subprocess.run(  # noqa: S603
        command, input="shown:\n\t@env\n", env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    settings = {line for line in shown.stdout.splitlines() if not line.startswith(("MAKE", "MFLAGS"))}
    assert {line for line in settings if line.endswith("=") or line.startswith("WORKERS")} == expected
