"""What the chat-service refuses, one class per fact. What the history-service refuses is in `history_problems`."""

from service_kit.problems import ProblemError


class NotSupportedError(ProblemError):
    """A ChatKit feature that this service does not offer."""

    status = 501
    code = "not_supported"
    detail = "This feature of ChatKit is not supported here."


class UnknownActionError(ProblemError):
    """A custom action whose type nobody handles."""

    status = 422
    code = "unknown_action"
    detail = "There is no such action."


class ItemConflictError(ProblemError):
    """The item that the request is about is not of the kind, or not in the state, that it must be."""

    status = 409
    code = "item_conflict"
    detail = "The item is not one that this can be done with."


class IdempotencyKeyReusedError(ProblemError):
    """The key has come with another message before."""

    status = 422
    code = "idempotency_key_reused"
    detail = "This Idempotency-Key came with another request before."


class ThreadNotAllowedError(ProblemError):
    """The caller is kept to one thread, and this is about another one, or a new one."""

    status = 403
    code = "thread_not_allowed"
    detail = "This session is for one conversation, and does not open this."
