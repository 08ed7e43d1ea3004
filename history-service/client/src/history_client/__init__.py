"""Typed client of the history-service: `HistoryClient` acts for users, `WorkerHistoryClient` executes runs."""

from history_client.client import HistoryClient, UserHistory
from history_client.errors import (
    HistoryBusyError,
    HistoryConflictError,
    HistoryError,
    HistoryExportBrokenError,
    HistoryForbiddenError,
    HistoryInvalidError,
    HistoryNotFoundError,
    HistoryTimeoutError,
    HistoryUnauthorizedError,
    HistoryUnavailableError,
    LeaseLostError,
)
from history_client.worker import WorkerHistoryClient

__all__ = [
    "HistoryBusyError",
    "HistoryClient",
    "HistoryConflictError",
    "HistoryError",
    "HistoryExportBrokenError",
    "HistoryForbiddenError",
    "HistoryInvalidError",
    "HistoryNotFoundError",
    "HistoryTimeoutError",
    "HistoryUnauthorizedError",
    "HistoryUnavailableError",
    "LeaseLostError",
    "UserHistory",
    "WorkerHistoryClient",
]
