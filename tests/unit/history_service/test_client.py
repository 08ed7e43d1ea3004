"""The client's own behaviour, against answers made here: retries, errors, tokens."""

import httpx
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
from service_kit.internal_tokens import TokenSigner, generate_signing_key

SIGNER = TokenSigner("chat-service", generate_signing_key()[0])


class Network:
    """The far edge of the network: fails with what it is given, in turn, then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.failures:
            raise self.failures.pop(0)
        return httpx.Response(204)

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self), base_url="http://history.example")


async def test_failed_connections_are_tried_again_within_bounds() -> None:
    network = Network(httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"))
    async with network.http() as http:
        assert await WorkerHistoryClient(http, SIGNER, backoff_seconds=0).claim_run("w") is None
    assert len(network.requests) == 3

    network = Network(*[httpx.ConnectError("refused")] * 3)
    async with network.http() as http:
        with pytest.raises(HistoryUnavailableError, match="upstream_unavailable"):
            await WorkerHistoryClient(http, SIGNER, backoff_seconds=0).claim_run("w")
    assert len(network.requests) == 3


async def test_what_may_have_arrived_is_repeated_only_if_that_changes_nothing() -> None:
    network = Network(httpx.ReadError("cut"))
    async with network.http() as http:
        await HistoryClient(http, SIGNER, backoff_seconds=0).as_user("alice").delete_conversation("thr_1")
    assert len(network.requests) == 2

    network = Network(httpx.RemoteProtocolError("cut"))
    async with network.http() as http:
        with pytest.raises(HistoryUnavailableError):
            await WorkerHistoryClient(http, SIGNER, backoff_seconds=0).claim_run("w")
    assert len(network.requests) == 1


async def test_a_late_answer_is_not_asked_for_again() -> None:
    network = Network(httpx.ReadTimeout("late"))
    async with network.http() as http:
        with pytest.raises(HistoryTimeoutError, match="upstream_timeout"):
            await HistoryClient(http, SIGNER).as_user("alice").delete_conversation("thr_1")
    assert len(network.requests) == 1


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

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=problem.model_dump_json(), headers={"Retry-After": "7"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://history.example") as http:
        with pytest.raises(error) as caught:
            await HistoryClient(http, SIGNER).as_user("alice").get_run("run_1")
    assert type(caught.value) is error
    assert (caught.value.status, caught.value.code) == (status, code)
    if isinstance(caught.value, HistoryBusyError):
        assert caught.value.retry_after_seconds == 7


async def test_an_answer_that_is_no_problem_is_an_error_too() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(502, text="<html>bad gateway</html>")

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://history.example") as http:
        with pytest.raises(HistoryUnavailableError, match="unexpected_answer"):
            await HistoryClient(http, SIGNER).as_user("alice").get_run("run_1")


async def test_ids_cannot_reach_other_routes() -> None:
    network = Network()
    async with network.http() as http:
        await HistoryClient(http, SIGNER).as_user("alice", request_id="req-12345").delete_item("../runs", "a/b?c=d#e")
    (request,) = network.requests
    assert request.url.raw_path == b"/conversations/..%2Fruns/items/a%2Fb%3Fc%3Dd%23e"
    assert request.headers["x-request-id"] == "req-12345"


def test_tokens_are_reused_per_user_and_scope() -> None:
    tokens = TokenCache(SIGNER)
    token = tokens.token(principal.RUNS_READ, "alice")
    assert tokens.token(principal.RUNS_READ, "alice") is token
    assert tokens.token(principal.RUNS_READ, "bob") != token
    assert tokens.token(principal.RUNS_CANCEL, "alice") != token


def test_a_token_is_signed_anew_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("history_client.tokens.time.monotonic", lambda: now)
    tokens = TokenCache(SIGNER)
    token = tokens.token("s", "alice")
    now += 39
    assert tokens.token("s", "alice") is token
    now += 1
    assert tokens.token("s", "alice") is not token
