"""Facts about tasks that a caller is told: the page as a problem, the model as the text of a failed call."""

from collections.abc import Sequence

from contracts.tasks import TASK_DESCRIPTION_MAX_LENGTH, TASK_TITLE_MAX_LENGTH, Task
from service_kit.problems import InvalidRequestError, ProblemError


class TaskNotFoundError(ProblemError):
    """There is no such task, as far as this user may know."""

    status = 404
    code = "task_not_found"
    detail = "There is no such task."


class NoSuchTaskError(TaskNotFoundError):
    """Neither an id nor a title of the user's tasks is what the model wrote."""

    def __init__(self, reference: str) -> None:
        shown = "".join(filter(str.isprintable, reference))[:TASK_TITLE_MAX_LENGTH]
        super().__init__(f'No task has the id or the title "{shown}". list_tasks shows the tasks there are.')


class TaskForbiddenError(ProblemError):
    """The task belongs to somebody else."""

    status = 403
    code = "task_forbidden"
    detail = "This task belongs to somebody else."


class TaskAmbiguousError(ProblemError):
    """Several of the user's tasks have the title that was given in place of an id."""

    status = 409
    code = "task_ambiguous"

    def __init__(self, title: str, candidates: Sequence[Task]) -> None:
        listed = "; ".join(f'{task.id} ("{task.title}", {task.status})' for task in candidates)
        super().__init__(f'Several tasks have the title "{title}". Give the id of the one that is meant: {listed}.')


class TitleMissingError(InvalidRequestError):
    """A title of nothing but blanks."""

    detail = "A task needs a title that is not empty."


class TitleTooLongError(InvalidRequestError):
    """A title that is no title any more."""

    detail = f"A task's title has at most {TASK_TITLE_MAX_LENGTH} characters. Put the rest into its description."


class DescriptionTooLongError(InvalidRequestError):
    """A description that is too long to keep."""

    detail = f"A task's description has at most {TASK_DESCRIPTION_MAX_LENGTH} characters."


class UnstorableTextError(InvalidRequestError):
    """Text with characters that no database and no page can hold."""

    detail = "The text contains characters that are not allowed (NUL, or half of a surrogate pair)."


class NothingToChangeError(InvalidRequestError):
    """A change that changes nothing."""

    detail = "Nothing to change: give a new title, a new description, or both."


class CallKeyReusedError(ProblemError):
    """The idempotency key belongs to another call."""

    status = 409
    code = "idempotency_key_reused"
    detail = "This idempotency key was used for another tool call."


class CallKeyInvalidError(InvalidRequestError):
    """The idempotency key is no key."""

    detail = "An idempotency key is a text of 1 to 300 printable characters."


class CallKeyForeignError(ProblemError):
    """The idempotency key is one of another run than the token's."""

    status = 403
    code = "idempotency_key_foreign"
    detail = "An idempotency key begins with the id of the run that the token is for."


class RunTokenNeededError(ProblemError):
    """The token is good, but not for a run: no worker sent it."""

    status = 403
    code = "run_token_needed"
    detail = "Tools are called for a run, with its run token."
