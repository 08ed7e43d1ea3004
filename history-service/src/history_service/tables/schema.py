"""What the tables of schema `history` have in common."""

from typing import get_args

from sqlalchemy import ForeignKeyConstraint

SCHEMA = "history"


def one_of(column: str, literal: object) -> str:
    """Return the condition that a column has one of the values of a `Literal`."""
    return f"{column} IN ({', '.join(repr(value) for value in get_args(literal))})"


def belongs_to_conversation(name: str) -> ForeignKeyConstraint:
    """Reference owner and id, so that nobody can put a row of their own into somebody else's conversation."""
    owner_and_id = [f"{SCHEMA}.conversations.user_id", f"{SCHEMA}.conversations.id"]
    return ForeignKeyConstraint(["user_id", "conversation_id"], owner_and_id, name=name, ondelete="CASCADE")
