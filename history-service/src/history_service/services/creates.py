"""Creates that can be repeated: `Idempotency-Key` (IETF draft-ietf-httpapi-idempotency-key-header)."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic_core import to_json
from starlette.responses import Response

from history_service.errors import IdempotencyKeyReusedError
from history_service.storage.user import UserTransaction

REPLAYED_HEADER = "Idempotency-Replayed"

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Create:
    """A request to create something. Without a key it is just carried out."""

    key: str | None
    path: str
    body: bytes

    async def once(
        self, history: UserTransaction, conversation_id: str, make: Callable[[], Awaitable[Any]], *, status: int = 201
    ) -> Any:
        """Carry out `make` and keep its answer in the same transaction, or answer what was kept.

        `conversation_id` is what the answer tells of: deleting it deletes the answer. Raises IdempotencyKeyReusedError
        if the key came with another request.
        """
        if self.key is None:
            return await make()
        digest = hashlib.sha256(self.path.encode() + b"\n" + self.body).hexdigest()
        kept = await history.answers.reserve(self.key, digest)
        if kept is None:
            answer = await make()
            await history.answers.record(self.key, to_json(answer).decode(), conversation_id)
            return answer
        if kept.request_digest != digest:
            raise IdempotencyKeyReusedError()
        log.info("create_replayed")
        return Response(kept.answer, status, {REPLAYED_HEADER: "true"}, media_type="application/json")
