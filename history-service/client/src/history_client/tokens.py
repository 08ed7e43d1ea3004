"""Tokens of this client, signed once per user and scope and reused for most of their life."""

import time
from collections import OrderedDict

from contracts.principal import MAX_TOKEN_SECONDS
from service_kit.internal_tokens import TokenSigner

AUDIENCE = "history-service"
REUSE_LEEWAY_SECONDS = 20
"""A token with less than this to live is signed anew: it must outlast the request it is sent with."""

MAX_KEPT_TOKENS = 10_000


class TokenCache:
    """The newest token per user and scope; the ones unused the longest are dropped first."""

    def __init__(self, signer: TokenSigner) -> None:
        self._signer = signer
        self._kept: OrderedDict[tuple[str | None, str], tuple[float, str]] = OrderedDict()

    def token(self, scope: str, user_id: str | None = None) -> str:
        """Return a token for the scope, for the user if one is named."""
        key, now = (user_id, scope), time.time()
        kept = self._kept.get(key)
        # Where the clock was set back, it would be one of the future.
        if kept is not None and 0 <= now - kept[0] < MAX_TOKEN_SECONDS - REUSE_LEEWAY_SECONDS:
            self._kept.move_to_end(key)
            return kept[1]
        token = self._signer.sign(AUDIENCE, [scope], user_id=user_id)
        self._kept[key] = (now, token)
        self._kept.move_to_end(key)
        if len(self._kept) > MAX_KEPT_TOKENS:
            self._kept.popitem(last=False)
        return token
