"""The real `openai` client against the history-service."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from openai import AsyncOpenAI

from contracts.conversations import JsonObject
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


class Log:
    """One conversation through the client, with items as plain JSON."""

    def __init__(self, client: AsyncOpenAI, conversation_id: str) -> None:
        self.conversations = client.conversations
        self.client = client.conversations.items
        self.id = conversation_id

    async def add(self, *items: Any) -> list[JsonObject]:
        return [entry.model_dump(exclude_unset=True) for entry in (await self.client.create(self.id, items=items)).data]

    async def page(self, **query: Any) -> tuple[list[JsonObject], bool, str | None]:
        page = await self.client.list(self.id, **query)
        return [entry.model_dump(exclude_unset=True) for entry in page.data], bool(page.has_more), page.last_id

    async def all(self) -> list[JsonObject]:
        return [entry.model_dump(exclude_unset=True) async for entry in self.client.list(self.id, order="asc")]

    async def get(self, item_id: str) -> JsonObject:
        return (await self.client.retrieve(item_id, conversation_id=self.id)).model_dump(exclude_unset=True)

    async def delete(self, item_id: str) -> None:
        assert (await self.client.delete(item_id, conversation_id=self.id)).id == self.id


def says(text: str, **members: Any) -> JsonObject:
    """A message of the user's."""
    return {"type": "message", "role": "user", "content": text, **members}
