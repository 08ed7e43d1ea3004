"""What a caller is told when the history-service refuses or fails."""

import httpx
import pytest
from fastapi import FastAPI

from chat_service.history_problems import install_history_problems
from history_client import (
    HistoryBusyError,
    HistoryConflictError,
    HistoryError,
    HistoryForbiddenError,
    HistoryInvalidError,
    HistoryNotFoundError,
    HistoryTimeoutError,
    HistoryUnauthorizedError,
    HistoryUnavailableError,
)


async def answer_to(error: HistoryError) -> httpx.Response:
    app = FastAPI()
    install_history_problems(app)

    @app.get("/")
    async def fail() -> None:  # pyright: ignore[reportUnusedFunction] - used by its decorator
        raise error

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        return await client.get("/")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (HistoryForbiddenError("conversation_forbidden", "No.", status=403), 403, "conversation_forbidden"),
        (HistoryForbiddenError("scope_missing", "Ours.", status=403), 502, "upstream_failed"),
        (HistoryNotFoundError("run_not_found", "No.", status=404), 404, "run_not_found"),
        (HistoryConflictError("item_conflict", "No.", status=409), 409, "item_conflict"),
        (HistoryInvalidError("payload_too_large", "No.", status=413), 413, "payload_too_large"),
        (HistoryInvalidError("invalid_request", "No.", status=422), 422, "invalid_request"),
        (HistoryBusyError("queue_full", "No.", retry_after_seconds=7), 429, "queue_full"),
        (HistoryUnauthorizedError("token_invalid", "Ours.", status=401), 502, "upstream_failed"),
        (HistoryUnavailableError("internal_error", "Theirs.", status=500), 503, "upstream_unavailable"),
        (HistoryTimeoutError("upstream_timeout", "Late."), 504, "upstream_timeout"),
    ],
)
async def test_each_error_is_a_problem(error: HistoryError, status: int, code: str) -> None:
    response = await answer_to(error)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers.get("retry-after") == ("7" if status == 429 else None)
    if status >= 500:
        assert error.detail not in response.text
