"""Reaching a database that is asleep or restarting: nothing has been asked of it yet, so it can be tried again.

Only services with a database import this module; it needs `asyncpg`.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import structlog

from service_kit.database_problems import DATABASE_ERRORS, is_unavailable

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0

log = structlog.get_logger(__name__)

Opened = TypeVar("Opened")


async def until_awake(
    connect: Callable[[float], Awaitable[Opened]],
    *,
    attempt_seconds: float,
    wake_seconds: float,
    is_hopeless: Callable[[], bool] = lambda: False,
) -> Opened:
    """Return what `connect` returns, after as many attempts as fit into `wake_seconds`; at least one.

    `connect` is given the seconds that it may take and has to keep to them. Its error is raised when time is up, when
    it is not about reaching the database, or when `is_hopeless` says so.
    """
    give_up = time.monotonic() + wake_seconds
    seconds, pause = attempt_seconds, FIRST_PAUSE_SECONDS
    while True:
        try:
            return await _attempt(connect, seconds)
        except DATABASE_ERRORS as error:
            left = give_up - time.monotonic() - pause
            if left <= 0 or not is_unavailable(error) or is_hopeless():
                raise
            log.info("database_awaited", error=type(error).__name__, reason=str(error))
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        seconds, pause = min(seconds, left), min(2 * pause, LONGEST_PAUSE_SECONDS)


async def _attempt(connect: Callable[[float], Awaitable[Opened]], seconds: float) -> Opened:
    try:
        return await connect(seconds)
    except asyncpg.InternalServerError as error:
        # Neon's proxy has this one code for all that keeps it from reaching the database.
        raise ConnectionRefusedError(str(error)) from error
