"""Run tokens: what a worker proves with that it acts for a run's user while it holds the run."""

import time

from contracts.principal import RUNS_ITEMS, TASKS, Principal
from service_kit.internal_tokens import InternalTokenError, TokenSigner, TokenVerifier

_AUDIENCE = ("history-service", "task-tools")
_SCOPES = (RUNS_ITEMS, TASKS)


class RunTokens:
    """Signs run tokens as the service `issuer`.

    Most of them come back to the process that has signed them, which need not verify its own signature. Whether this
    key, these scopes and this audience are trusted at all is found out with the first token; the others differ in run
    and user alone.
    """

    def __init__(self, issuer: str, signer: TokenSigner, verifier: TokenVerifier, seconds: int) -> None:
        self._issuer = issuer
        self._signer = signer
        self._verifier = verifier
        self._seconds = seconds
        self._is_trusted: bool | None = None

    def issue(self, run_id: str, user_id: str) -> str:
        """Return a token for the run and its user."""
        ends_at = int(time.time()) + self._seconds
        token = self._signer.sign(_AUDIENCE, _SCOPES, user_id=user_id, run_id=run_id, seconds=self._seconds)
        if self._is_trusted is None:
            self._is_trusted = self._verifies(token)
        if self._is_trusted:
            principal = Principal(issuer=self._issuer, scopes=frozenset(_SCOPES), user_id=user_id, run_id=run_id)
            self._verifier.remember(token, principal, ends_at)
        return token

    def _verifies(self, token: str) -> bool:
        try:
            self._verifier.verify(token)
        except InternalTokenError:
            return False
        return True
