"""What the service's OpenAPI document says of errors, for all routes at once."""

from contracts.conversations import JsonObject
from history_service.errors import (
    AttachmentForbiddenError,
    AttachmentNotFoundError,
    ConversationForbiddenError,
    ConversationNotFoundError,
    InvalidCursorError,
    ItemNotFoundError,
    RunForbiddenError,
    RunNotFoundError,
)
from history_service.openai_errors import OPENAI_PREFIX, error_response
from service_kit.openapi import OperationErrors, problem_document


def _openai_error(status: int, codes: set[str]) -> tuple[int, JsonObject]:
    """Describe a problem as `openai_errors` rewrites it."""
    told = error_response(status, {"code": "", "detail": ""}).status_code
    document = problem_document(told, codes)
    code: JsonObject = {"enum": sorted(codes)} if codes else {"type": "string"}
    error: JsonObject = {
        "type": "object",
        "properties": {
            "message": {"type": "string"},
            "type": {"type": "string"},
            "param": {"type": ["string", "null"]},
            "code": code,
        },
        "required": ["message", "type", "param", "code"],
    }
    schema = {"type": "object", "properties": {"error": error}, "required": ["error"]}
    return told, document | {"content": {"application/json": {"schema": schema}}}


ERRORS = OperationErrors(
    by_parameter={
        "conversation_id": (ConversationNotFoundError, ConversationForbiddenError),
        "item_id": (ItemNotFoundError,),
        "run_id": (RunNotFoundError, RunForbiddenError),
        "attachment_id": (AttachmentNotFoundError, AttachmentForbiddenError),
        "after": (InvalidCursorError,),
    },
    shapes={OPENAI_PREFIX: _openai_error},
)
