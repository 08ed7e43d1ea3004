"""What a user is told when a run fails: a stable code and a sentence, never the exception's own text."""

import structlog
from agents.exceptions import MaxTurnsExceeded
from openai import APIConnectionError, APIError, APITimeoutError, AuthenticationError, RateLimitError

from agent_worker.models.recorded import ModelFailedError
from agent_worker.recorder import ResponseTooLongError
from agent_worker.tools.pool import ToolsUnreachableError
from contracts.runs import RunError

log = structlog.get_logger(__name__)

DEADLINE = RunError(code="deadline", message="The answer took too long and was stopped. Please try again.")


class EmptyAnswerError(Exception):
    """The model has neither said nor called anything."""


_KNOWN: tuple[tuple[type[Exception], RunError], ...] = (
    (MaxTurnsExceeded, RunError(code="max_turns", message="The answer needed too many steps and was stopped.")),
    (APITimeoutError, RunError(code="model_timeout", message="The model did not answer in time. Please try again.")),
    (APIConnectionError, RunError(code="model_unreachable", message="The model cannot be reached. Please try again.")),
    (RateLimitError, RunError(code="model_rate_limited", message="The model is busy. Please try again in a moment.")),
    (
        AuthenticationError,
        RunError(code="model_key_refused", message="The model refuses the configured key.", allow_retry=False),
    ),
    (APIError, RunError(code="model_error", message="The model answered with an error. Please try again.")),
    (ModelFailedError, RunError(code="model_error", message="The model broke off its answer. Please try again.")),
    (ResponseTooLongError, RunError(code="answer_too_long", message="The answer grew too long and was stopped.")),
    (EmptyAnswerError, RunError(code="empty_answer", message="The model gave no answer. Please try again.")),
    (ToolsUnreachableError, RunError(code="tools_unreachable", message="The tools cannot be reached. Try again.")),
)


def failure_of(error: BaseException) -> RunError:
    """Return what to tell of an exception that ended a run."""
    for kind, failure in _KNOWN:
        if isinstance(error, kind):
            return failure
    return RunError(code="internal_error", message="Something went wrong while answering. Please try again.")


def told_failure_of(error: BaseException) -> RunError:
    """Log why a run failed, and return what its user is told."""
    failure = failure_of(error)
    unexpected = error if failure.code == "internal_error" else None
    log.warning("run_failed", code=failure.code, error=type(error).__name__, exc_info=unexpected)
    return failure
