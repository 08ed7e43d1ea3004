"""The roles that transactions act as, and the question whose a thing is that they cannot see."""

from sqlalchemy import String, bindparam, func, select

from history_service.errors import (
    AttachmentForbiddenError,
    AttachmentNotFoundError,
    ConversationForbiddenError,
    ConversationNotFoundError,
    RunConflictError,
    RunForbiddenError,
    RunNotFoundError,
)
from service_kit.database import Transaction
from service_kit.problems import ProblemError
from service_kit.statements import Statement

USER_ROLE = "threadkeep_history_user"
"""Sees the rows of the user in `app.user_id`."""

DISPATCH_ROLE = "threadkeep_history_dispatch"
"""Sees everybody's runs, for claims and leases, and nothing else."""

RETENTION_ROLE = "threadkeep_history_retention"
"""Sees ids, owners and times of everybody's rows, to find what has expired, and the blobs to remove."""

_ID = bindparam("id", type_=String)
_ATTACHMENT_IS_FOREIGN = Statement(select(func.history.attachment_is_foreign(_ID)))
_CONVERSATION_IS_FOREIGN = Statement(select(func.history.conversation_is_foreign(_ID)))
_RUN_IS_FOREIGN = Statement(select(func.history.run_is_foreign(_ID)))


async def absent_conversation(transaction: Transaction, conversation_id: str) -> ProblemError:
    """Return the error for a conversation that the user cannot see: somebody else's, or nobody's."""
    foreign = await transaction.value(_CONVERSATION_IS_FOREIGN, id=conversation_id)
    return ConversationForbiddenError() if foreign else ConversationNotFoundError()


async def absent_run(transaction: Transaction, run_id: str) -> ProblemError:
    """Return the error for a run that the user cannot see: somebody else's, or nobody's."""
    foreign = await transaction.value(_RUN_IS_FOREIGN, id=run_id)
    return RunForbiddenError() if foreign else RunNotFoundError()


async def taken_run(transaction: Transaction, run_id: str) -> ProblemError:
    """Return the error for a new run whose id is taken: by somebody else, or by the user in another conversation."""
    foreign = await transaction.value(_RUN_IS_FOREIGN, id=run_id)
    return RunForbiddenError() if foreign else RunConflictError()


async def absent_attachment(transaction: Transaction, attachment_id: str) -> ProblemError:
    """Return the error for an attachment that the user cannot see: somebody else's, or nobody's."""
    foreign = await transaction.value(_ATTACHMENT_IS_FOREIGN, id=attachment_id)
    return AttachmentForbiddenError() if foreign else AttachmentNotFoundError()
