"""The client's own behaviour, against answers made here: retries, errors, tokens."""

import asyncio
from collections.abc import AsyncGenerator, Mapping

import pytest

from contracts import principal
from contracts.problems import Problem
from history_client import (
    HistoryBusyError,
    HistoryClient,
    HistoryConflictError,
    HistoryError,
    HistoryForbiddenError,
    HistoryInvalidError,
    HistoryNotFoundError,
    HistoryTimeoutError,
    HistoryUnauthorizedError,
    HistoryUnavailableError,
    LeaseLostError,
    WorkerHistoryClient,
)
from history_client.tokens import TokenCache
from service_kit.answers import Answer
from service_kit.http_exchange import UnreachableError
from service_kit.internal_tokens import TokenSigner, generate_signing_key
from service_kit.service_client import Body, ServiceClient, open_service
from tests.support.tiny_service import Asked, answer, answering, tiny_service

SIGNER = TokenSigner("chat-service", generate_signing_key()[0])
NO_CLAIMS = answer(b'{"claims": []}')
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"


class Unreachable(ServiceClient):
    """Cannot be reached so many times, and then can."""

    def __init__(self, url: str, times: int) -> None:
        super().__init__(url, silence_seconds=5, connections=1)
        self.left = times
        self.tried = 0

    async def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: Body = b"",
        *,
        idempotent: bool = False,
    ) -> Answer:
        self.tried += 1
        if self.left:
            self.left -= 1
            raise UnreachableError("ConnectionRefusedError")
        return await super().request(method, path, headers or {}, body, idempotent=idempotent)


async def test_failed_connections_are_tried_again_within_bounds() -> None:
    async with tiny_service(answering(NO_CLAIMS)) as tiny:
        service = Unreachable(tiny.url, 2)
        assert await WorkerHistoryClient(service, SIGNER, backoff_seconds=0).claim_runs("w", 1) == []
        assert (service.tried, len(tiny.requests)) == (3, 1)
        service.close()

        service = Unreachable(tiny.url, 3)
        with pytest.raises(HistoryUnavailableError, match="upstream_unavailable"):
            await WorkerHistoryClient(service, SIGNER, backoff_seconds=0).claim_runs("w", 1)
        assert (service.tried, len(tiny.requests)) == (3, 1)


@pytest.mark.parametrize("lost", [b"", HALF], ids=["whole answer lost", "half of it lost"])
async def test_what_may_have_arrived_is_repeated_only_if_that_changes_nothing(lost: bytes) -> None:
    async def lose(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if len(tiny.requests) == 1:
            writer.write(lost)
            writer.close()
        else:
            writer.write(NO_CONTENT)

    async with tiny_service(lose) as tiny, open_service(tiny.url) as service:
        await HistoryClient(service, SIGNER, backoff_seconds=0).as_user("alice").delete_conversation("thr_1")
        assert len(tiny.requests) == 2

    async with tiny_service(lose) as tiny, open_service(tiny.url) as service:
        with pytest.raises(HistoryUnavailableError):
            await WorkerHistoryClient(service, SIGNER, backoff_seconds=0).claim_runs("w", 1)
        assert len(tiny.requests) == 1


async def test_a_claim_is_not_repeated_over_a_kept_connection_either() -> None:
    async with tiny_service(answering(NO_CLAIMS, b"", NO_CLAIMS)) as tiny, open_service(tiny.url) as service:
        worker = WorkerHistoryClient(service, SIGNER, backoff_seconds=0)
        assert await worker.claim_runs("w", 1) == []
        with pytest.raises(HistoryUnavailableError):
            await worker.claim_runs("w", 1)
        assert len(tiny.requests) == 2


async def test_a_body_that_is_iterated_is_sent_once() -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        yield b"bytes"

    async with tiny_service(answering(b"", NO_CONTENT)) as tiny, open_service(tiny.url) as service:
        alice = HistoryClient(service, SIGNER, backoff_seconds=0).as_user("alice")
        with pytest.raises(HistoryUnavailableError):
            await alice.upload_attachment("atc_1", pieces())
        assert [asked.body for asked in tiny.requests] == [b"bytes"]


async def _say_nothing(asked: Asked, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def _break_off(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(HALF)
    writer.close()


async def test_a_late_answer_is_not_asked_for_again() -> None:
    async with tiny_service(_say_nothing) as tiny, open_service(tiny.url, silence_seconds=0.05) as service:
        with pytest.raises(HistoryTimeoutError, match="upstream_timeout"):
            await HistoryClient(service, SIGNER).as_user("alice").delete_conversation("thr_1")
        assert len(tiny.requests) == 1


async def test_a_streamed_answer_that_is_late_or_breaks_off_is_an_error() -> None:
    async with tiny_service(_say_nothing) as tiny, open_service(tiny.url, silence_seconds=0.05) as service:
        alice = HistoryClient(service, SIGNER).as_user("alice")
        with pytest.raises(HistoryTimeoutError, match="upstream_timeout"):
            await alice.export_conversation("thr_1")

    async with tiny_service(_break_off) as tiny, open_service(tiny.url) as service:
        alice = HistoryClient(service, SIGNER).as_user("alice")
        with pytest.raises(HistoryUnavailableError, match="upstream_unavailable"):
            await alice.export_conversation("thr_1")
        assert len(tiny.requests) == 1


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "token_expired", HistoryUnauthorizedError),
        (403, "conversation_forbidden", HistoryForbiddenError),
        (404, "run_not_found", HistoryNotFoundError),
        (409, "item_conflict", HistoryConflictError),
        (409, "lease_lost", LeaseLostError),
        (409, "attempt_stale", LeaseLostError),
        (409, "run_finished", LeaseLostError),
        (413, "payload_too_large", HistoryInvalidError),
        (422, "invalid_cursor", HistoryInvalidError),
        (429, "queue_full", HistoryBusyError),
        (500, "internal_error", HistoryUnavailableError),
        (503, "upstream_unavailable", HistoryUnavailableError),
    ],
)
async def test_problems_become_errors(status: int, code: str, error: type[HistoryError]) -> None:
    problem = Problem(title="x", status=status, detail="y", code=code)

    told = answer(problem.model_dump_json().encode(), status, b"Retry-After: 7")

    async with tiny_service(answering(told)) as tiny, open_service(tiny.url) as service:
        alice = HistoryClient(service, SIGNER).as_user("alice")
        with pytest.raises(error) as caught:
            await alice.get_run("run_1")
        with pytest.raises(error) as of_stream:
            await alice.export_conversation("thr_1")
        assert (len(tiny.requests), tiny.connections) == (2, 1)
    for one in (caught.value, of_stream.value):
        assert type(one) is error
        assert (one.status, one.code) == (status, code)
        if isinstance(one, HistoryBusyError):
            assert one.retry_after_seconds == 7


async def test_an_answer_that_is_no_problem_is_an_error_too() -> None:
    told = answer(b"<html>bad gateway</html>", 502)
    async with tiny_service(answering(told)) as tiny, open_service(tiny.url) as service:
        with pytest.raises(HistoryUnavailableError, match="unexpected_answer"):
            await HistoryClient(service, SIGNER).as_user("alice").get_run("run_1")


async def test_ids_cannot_reach_other_routes() -> None:
    async with tiny_service(answering(NO_CONTENT)) as tiny, open_service(tiny.url) as service:
        alice = HistoryClient(service, SIGNER).as_user("alice", request_id="req-12345")
        await alice.delete_item("../runs", "a/b?c=d#e")
        (asked,) = tiny.requests
    assert asked.target == "/conversations/..%2Fruns/items/a%2Fb%3Fc%3Dd%23e"
    assert asked.headers["x-request-id"] == "req-12345"


async def test_queries_are_quoted() -> None:
    empty = answer(b'{"data": [], "has_more": false, "after": null}')
    async with tiny_service(answering(empty)) as tiny, open_service(tiny.url) as service:
        await HistoryClient(service, SIGNER).as_user("alice").search_conversations("a&b = ä\r\n", limit=3)
        (asked,) = tiny.requests
    assert asked.target == "/conversations/search?q=a%26b+%3D+%C3%A4%0D%0A&limit=3"


def test_tokens_are_reused_per_user_and_scope() -> None:
    tokens = TokenCache(SIGNER)
    token = tokens.token(principal.RUNS_READ, "alice")
    assert tokens.token(principal.RUNS_READ, "alice") is token
    assert tokens.token(principal.RUNS_READ, "bob") != token
    assert tokens.token(principal.RUNS_CANCEL, "alice") != token


def test_a_token_is_signed_anew_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """And when the clock was set back: it would be one of the future."""
    now = 1_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    tokens = TokenCache(SIGNER)
    token = tokens.token("s", "alice")
    now += 39
    assert tokens.token("s", "alice") is token
    now += 1
    newer = tokens.token("s", "alice")
    now -= 3600
    assert len({token, newer, tokens.token("s", "alice")}) == 3
