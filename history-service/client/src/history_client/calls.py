"""What the calls for one user have in common: a token for each scope, the request id, and how they are sent."""

from contextlib import AbstractAsyncContextManager
from urllib.parse import quote

from contracts.pages import Order
from history_client.tokens import TokenCache
from history_client.transport import JSON, Body, HistoryTransport
from service_kit.answers import Answer, OpenAnswer


def path_of(*segments: str) -> str:
    """Return a path of the segments, each quoted whole: an id cannot reach another route."""
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


def page_query(limit: int, after: str | None, order: Order) -> dict[str, str | int]:
    """Return the query of a page."""
    query: dict[str, str | int] = {"limit": limit, "order": order}
    if after is not None:
        query["after"] = after
    return query


class UserCalls:
    """Base of the calls of one subject; `UserHistory` has them all."""

    def __init__(self, transport: HistoryTransport, tokens: TokenCache, user_id: str, request_id: str | None) -> None:
        self._transport = transport
        self._tokens = tokens
        self._user_id = user_id
        self._request_id = request_id

    async def _send(
        self,
        method: str,
        path: str,
        scope: str,
        body: Body | None = None,
        *,
        content_type: str = JSON,
        query: dict[str, str | int] | None = None,
        idempotency_key: str | None = None,
    ) -> Answer:
        return await self._transport.send(
            method,
            path,
            token=self._tokens.token(scope, self._user_id),
            request_id=self._request_id,
            body=body,
            content_type=content_type,
            query=query,
            idempotency_key=idempotency_key,
        )

    def _stream(self, path: str, scope: str) -> AbstractAsyncContextManager[OpenAnswer]:
        token = self._tokens.token(scope, self._user_id)
        return self._transport.stream(path, token=token, request_id=self._request_id)
