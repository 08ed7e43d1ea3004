"""The roles that transactions act as, and the question whose a thing is that they cannot see."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from history_service.errors import (
    ConversationForbiddenError,
    ConversationNotFoundError,
    RunForbiddenError,
    RunNotFoundError,
)
from service_kit.problems import ProblemError

USER_ROLE = "threadkeep_history_user"
"""Sees the rows of the user in `app.user_id`."""

DISPATCH_ROLE = "threadkeep_history_dispatch"
"""Sees everybody's runs, for claims and leases, and nothing else."""


async def absent_conversation(connection: AsyncConnection, conversation_id: str) -> ProblemError:
    """Return the error for a conversation that the user cannot see: somebody else's, or nobody's."""
    foreign = await connection.scalar(select(func.history.conversation_is_foreign(conversation_id)))
    return ConversationForbiddenError() if foreign else ConversationNotFoundError()


async def absent_run(connection: AsyncConnection, run_id: str) -> ProblemError:
    """Return the error for a run that the user cannot see: somebody else's, or nobody's."""
    foreign = await connection.scalar(select(func.history.run_is_foreign(run_id)))
    return RunForbiddenError() if foreign else RunNotFoundError()
