"""Run tokens: signed here, and known here when they come back."""

import time

import pytest

from contracts.principal import RUNS_ITEMS, TASKS, TrustedIssuer
from history_service.services.run_tokens import RunTokens
from service_kit import internal_tokens
from service_kit.internal_tokens import InternalTokenError, TokenSigner, TokenVerifier, generate_signing_key

SERVICE = "history-service"
PRIVATE, PUBLIC = generate_signing_key()


def verifier(public_key: str = PUBLIC, *scopes: str) -> TokenVerifier:
    trusted = TrustedIssuer(public_key=public_key, scopes=frozenset(scopes or (RUNS_ITEMS, TASKS)))
    return TokenVerifier(SERVICE, {SERVICE: trusted})


def run_tokens(verifying: TokenVerifier) -> RunTokens:
    return RunTokens(SERVICE, TokenSigner(SERVICE, PRIVATE), verifying, 15)


def test_a_token_proves_here_what_it_proves_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    here = verifier()
    tokens = run_tokens(here)
    issued = [tokens.issue(f"run_{number}", "alice") for number in range(3)]
    proven = [verifier().verify(token) for token in issued]
    assert [(each.run_id, each.user_id) for each in proven] == [(f"run_{number}", "alice") for number in range(3)]
    monkeypatch.delattr(internal_tokens, "claims_of")  # what verifies a signature
    assert [here.verify(token) for token in issued] == proven


def test_it_is_known_no_longer_than_it_lives() -> None:
    here = verifier()
    tokens = run_tokens(here)
    tokens.issue("run_1", "alice")
    long_ago = time.time() - 60
    with pytest.MonkeyPatch.context() as clock:
        clock.setattr(time, "time", lambda: long_ago)
        token = tokens.issue("run_2", "alice")
    with pytest.raises(InternalTokenError, match="expired"):
        here.verify(token)


def test_only_so_many_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(internal_tokens, "MAX_KEPT_PRINCIPALS", 2)
    here = verifier()
    tokens = run_tokens(here)
    first, *_ = [tokens.issue(f"run_{number}", "alice") for number in range(3)]
    assert here.verify(first).run_id == "run_0"
    tokens.issue("run_3", "alice")
    tokens.issue("run_4", "alice")
    monkeypatch.delattr(internal_tokens, "claims_of")  # what verifies a signature
    with pytest.raises(NameError):
        here.verify(first)


@pytest.mark.parametrize("trusted", [(generate_signing_key()[1],), (PUBLIC, TASKS)], ids=["key", "scopes"])
def test_what_is_not_trusted_is_not_believed_because_it_is_our_own(trusted: tuple[str, ...]) -> None:
    here = verifier(*trusted)
    tokens = run_tokens(here)
    for run_id in ("run_1", "run_2"):
        with pytest.raises(InternalTokenError):
            here.verify(tokens.issue(run_id, "alice"))
