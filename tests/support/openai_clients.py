"""The real `openai` client against the history-service."""

from contextlib import AbstractAsyncContextManager

from openai import AsyncOpenAI

from contracts.principal import CONVERSATIONS_READ, CONVERSATIONS_WRITE
from service_kit.internal_tokens import TokenSigner

SCOPES = (CONVERSATIONS_READ, CONVERSATIONS_WRITE)


def openai_client(
    url: str, signer: TokenSigner, user_id: str, scopes: tuple[str, ...] = SCOPES
) -> AbstractAsyncContextManager[AsyncOpenAI]:
    """Return a client that acts for a user: each request has a token of its own."""

    async def token() -> str:
        return signer.sign("history-service", scopes, user_id=user_id)

    return AsyncOpenAI(base_url=f"{url.rstrip('/')}/v1", api_key=token)
