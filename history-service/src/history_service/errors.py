"""Facts of the history-service that a caller is told, one class each."""

from service_kit.problems import InvalidRequestError, ProblemError, ServiceUnavailableError

RUN_RETRY_AFTER_SECONDS = 5
"""What a short answer takes: by then, one of the runs in the way has probably ended."""


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


class IdempotencyKeyReusedError(ProblemError):
    """The key has come with another request before."""

    status = 422
    code = "idempotency_key_reused"
    detail = "This Idempotency-Key came with another request before."


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


class RunRefusedError(ProblemError):
    """There are too many runs already; nothing was stored."""

    status = 429

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": str(RUN_RETRY_AFTER_SECONDS)})


class RunQueueFullError(RunRefusedError):
    """So many runs of everybody are queued that another one would wait too long."""

    code = "run_queue_full"
    detail = "Too many answers are being waited for. Please try again in a moment."


class TooManyRunsError(RunRefusedError):
    """The user has as many unfinished runs as one may have."""

    code = "too_many_runs"
    detail = "You are waiting for too many answers already. Please let them finish first."


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


class InvalidOpenAIItemError(InvalidRequestError):
    """An item is not one that a conversation can hold; `param` is the path to what is wrong with it."""

    def __init__(self, detail: str, param: str) -> None:
        super().__init__(detail, param=param)


class AttachmentNotFoundError(ProblemError):
    """No attachment has this id."""

    status = 404
    code = "attachment_not_found"
    detail = "There is no such attachment."


class AttachmentForbiddenError(ProblemError):
    """The attachment is somebody else's."""

    status = 403
    code = "attachment_forbidden"
    detail = "This attachment is not yours."


class AttachmentConflictError(ProblemError):
    """The attachment is another one already, or in another conversation."""

    status = 409
    code = "attachment_conflict"
    detail = "There is another attachment with this id, or it is in another conversation."


class ContentNotFoundError(ProblemError):
    """The bytes of the attachment have not been stored."""

    status = 404
    code = "content_not_found"
    detail = "The content of this attachment has not been uploaded."


class ContentConflictError(ProblemError):
    """The bytes are not those that were announced or stored."""

    status = 409
    code = "content_conflict"
    detail = "The content has not the announced size, or another content is stored already."


class InvalidAttachmentError(InvalidRequestError):
    """The payload is not a ChatKit attachment that can be stored."""

    detail = "The payload is not a ChatKit attachment."


class BlobsUnavailableError(ServiceUnavailableError):
    """The store of attachments' bytes does not answer."""

    detail = "The store of attachments does not answer. Please try again."


class UploadExpiredError(ServiceUnavailableError):
    """Storing the bytes took so long that they were given up."""

    detail = "Storing the content took too long. Please try again."


class UserMismatchError(ProblemError):
    """The token is another user's."""

    status = 403
    code = "user_mismatch"
    detail = "The token is not this user's."


class DeletionUnfinishedError(ProblemError):
    """There is more to delete than fits into one request."""

    status = 503
    code = "deletion_unfinished"
    detail = "Not everything is deleted yet. Please repeat the request."
