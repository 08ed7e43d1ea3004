"""The tables of schema `history`, imported by `storage` alone. The migrations make them; a test compares both."""

from history_service.tables.attachments import attachments, blob_deletions
from history_service.tables.conversations import conversations
from history_service.tables.feedback import feedback
from history_service.tables.idempotency import answers
from history_service.tables.messages import messages
from history_service.tables.runs import runs
from history_service.tables.schema import SCHEMA

__all__ = ["SCHEMA", "answers", "attachments", "blob_deletions", "conversations", "feedback", "messages", "runs"]
