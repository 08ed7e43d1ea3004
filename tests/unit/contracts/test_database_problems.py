"""Which failures of a database are answered 503, and what is logged of the others."""

import socket

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from service_kit.database_problems import install_database_problems, is_unavailable


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.AdminShutdownError("terminating connection due to administrator command"),
        asyncpg.CrashShutdownError("terminating connection because of crash of another server process"),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        asyncpg.ProtocolViolationError("server conn crashed?"),
        asyncpg.ProtocolViolationError("query_wait_timeout"),
        asyncpg.QueryCanceledError("canceling statement due to statement timeout"),
        asyncpg.LockNotAvailableError("canceling statement due to lock timeout"),
        asyncpg.IdleInTransactionSessionTimeoutError("terminating connection due to idle-in-transaction timeout"),
        asyncpg.DeadlockDetectedError("deadlock detected"),
        asyncpg.SerializationError("could not serialize access"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
        asyncpg.InterfaceError("cannot perform operation: connection is closed"),
        asyncpg.InterfaceError("cannot call Connection.fetch(): connection has been released back to the pool"),
        asyncpg.InterfaceError("pool is closing"),
        ConnectionRefusedError("Connect call failed"),
        ConnectionResetError("Connection lost"),
        TimeoutError(),
        socket.gaierror("Name or service not known"),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:60],
)
def test_what_may_be_better_in_a_moment(error: Exception) -> None:
    assert is_unavailable(error)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.UniqueViolationError("duplicate key value violates unique constraint"),
        asyncpg.UndefinedTableError('relation "x" does not exist'),
        asyncpg.InsufficientPrivilegeError("permission denied"),
        asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
        # A client-side error that quotes what a user has written.
        asyncpg.exceptions.DataError("invalid input for query argument $1: 'the shop is closed'"),
        asyncpg.exceptions._base.DataError("invalid input for query argument $1: 'the shop is closed'"),  # pyright: ignore[reportPrivateUsage]
        ValueError("is closed"),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:60],
)
def test_what_is_our_mistake(error: Exception) -> None:
    assert not is_unavailable(error)


async def test_no_row_is_quoted_in_the_log() -> None:
    app = FastAPI()
    install_database_problems(app)

    @app.get("/")
    async def fail() -> None:  # pyright: ignore[reportUnusedFunction] - used by its decorator
        fields = {
            "S": "ERROR",
            "C": "23514",
            "M": "new row violates",
            "D": "Failing row contains (a secret).",
            "n": "size",
        }
        raise asyncpg.PostgresError.new(fields)

    with capture_logs() as logs:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
            answer = await http.get("/")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert logs[0]["sqlstate"] == "23514"
    assert logs[0]["constraint_name"] == "size"
    assert "in fail" in "".join(logs[0]["stack"])
    assert "secret" not in str(logs) + answer.text
