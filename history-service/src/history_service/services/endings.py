"""Runs that end without their worker: what they leave behind is settled in the transaction that ends them."""

from collections.abc import Sequence
from itertools import groupby

from history_service.openai_projection.drawing import ended
from history_service.storage.roles import USER_ROLE
from history_service.storage.runs import PlacedRun
from history_service.storage.user import UserTransaction
from service_kit.database import Transaction

MAX_ENDED = 20
"""How many runs one transaction ends: it keeps their conversations locked until all are settled."""


async def settle_all(transaction: Transaction, runs: Sequence[PlacedRun]) -> None:
    """Settle runs of any users, as each of whom the transaction acts in turn; it stays the last one.

    The order is the same for everybody, so that transactions that do this do not wait for each other in a circle.
    """
    ordered = sorted(runs, key=lambda placed: (placed.run.user_id, placed.run.conversation_id))
    for user_id, theirs in groupby(ordered, key=lambda placed: placed.run.user_id):
        await transaction.assume(USER_ROLE, user_id)
        for placed in theirs:
            await settle(UserTransaction(transaction, user_id), placed)


async def settle(history: UserTransaction, placed: PlacedRun) -> None:
    """Let no tool call of an ended run be in progress, and its conversation be the one that changed last."""
    conversation_id = placed.run.conversation_id
    if placed.run.attempt > 0:
        for row in await history.openai_items.open_calls(conversation_id, placed.turn):
            await history.openai_items.rewrite(conversation_id, ended(row))
    await history.conversations.touch(conversation_id)
