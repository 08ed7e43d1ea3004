"""Facts of the history-service that a caller is told, one class each."""

from service_kit.problems import InvalidRequestError, ProblemError


class ConversationNotFoundError(ProblemError):
    """No conversation has this id."""

    status = 404
    code = "conversation_not_found"
    detail = "There is no such conversation."


class ConversationForbiddenError(ProblemError):
    """The conversation is somebody else's."""

    status = 403
    code = "conversation_forbidden"
    detail = "This conversation is not yours."


class ConversationConflictError(ProblemError):
    """A conversation with this id exists."""

    status = 409
    code = "conversation_conflict"
    detail = "You already have a conversation with this id."


class ItemNotFoundError(ProblemError):
    """The conversation has no item with this id."""

    status = 404
    code = "item_not_found"
    detail = "The conversation has no such item."


class ItemConflictError(ProblemError):
    """An item with this id exists and is not the caller's to replace."""

    status = 409
    code = "item_conflict"
    detail = "The conversation already has another item with this id."


class RunNotFoundError(ProblemError):
    """No run has this id."""

    status = 404
    code = "run_not_found"
    detail = "There is no such run."


class RunForbiddenError(ProblemError):
    """The run is somebody else's, or the run token is for another run."""

    status = 403
    code = "run_forbidden"
    detail = "This run is not yours."


class RunConflictError(ProblemError):
    """A run with this id exists in another conversation."""

    status = 409
    code = "run_conflict"
    detail = "A run with this id belongs to another conversation."


class LeaseLostError(ProblemError):
    """The run is no longer held by this attempt."""

    status = 409
    code = "lease_lost"
    detail = "This attempt no longer holds the run."


class AttemptStaleError(ProblemError):
    """A newer attempt holds the run, or nobody does."""

    status = 409
    code = "attempt_stale"
    detail = "This attempt may no longer write to the run."


class RunFinishedError(ProblemError):
    """The run has ended in another way."""

    status = 409
    code = "run_finished"
    detail = "The run has already ended."


class InvalidCursorError(InvalidRequestError):
    """`after` names nothing in this list."""

    code = "invalid_cursor"
    detail = "The cursor does not belong to this list."


class InvalidItemError(InvalidRequestError):
    """The item is not a ChatKit thread item of this conversation."""

    detail = "The item is not a ChatKit thread item of this conversation."
