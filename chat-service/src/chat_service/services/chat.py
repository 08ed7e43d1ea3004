"""Answering a ChatKit request: which are served, and what a stream begins with."""

import re
from dataclasses import dataclass

from chatkit.server import StreamingResult
from chatkit.types import ChatKitReq, ThreadsRetryAfterItemReq
from pydantic import TypeAdapter, ValidationError

from chat_service.context import ChatContext
from chat_service.errors import ItemConflictError, NotSupportedError
from chat_service.server import ThreadkeepServer
from chat_service.services.restriction import check_request
from contracts.runs import Run
from service_kit.problems import InvalidRequestError, invalid_request

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:\-]{0,127}")
_REQUEST: TypeAdapter[ChatKitReq] = TypeAdapter(ChatKitReq)

NOT_SUPPORTED = {
    "attachments.create": "Attachments are not supported here.",
    "attachments.delete": "Attachments are not supported here.",
    "input.transcribe": "Dictation is not supported here.",
    "threads.add_structured_input": "Structured input is not supported here.",
}


@dataclass(frozen=True)
class JsonAnswer:
    """A complete answer."""

    body: bytes


@dataclass(frozen=True)
class StreamAnswer:
    """The SDK's own events, as frames; the events of `run`, if there is one, follow."""

    head: bytes
    run: Run | None


def parse_request(body: bytes) -> ChatKitReq:
    """Parse a ChatKit request. Raises InvalidRequestError that says where it is wrong."""
    try:
        request = _REQUEST.validate_json(body)
    except ValidationError as error:
        raise invalid_request(error) from error
    for name in ("thread_id", "item_id"):
        value = getattr(request.params, name, None)
        if value is not None and not is_well_formed(value):
            place = {"loc": ["params", name], "message": "This is not an id.", "type": "id"}
            raise InvalidRequestError(errors=[place])
    return request


def is_well_formed(identifier: str) -> bool:
    """Tell whether this can be an id at all; others must not become part of a path."""
    return _ID.fullmatch(identifier) is not None


async def answer_chatkit(server: ThreadkeepServer, body: bytes, context: ChatContext) -> JsonAnswer | StreamAnswer:
    """Carry out a request. Raises ProblemError or HistoryError: nothing has been streamed by then."""
    request = parse_request(body)
    check_request(request, context.thread_id)
    if request.type in NOT_SUPPORTED:
        raise NotSupportedError(NOT_SUPPORTED[request.type])
    if isinstance(request, ThreadsRetryAfterItemReq):
        context.retry_after = request.params.item_id
    try:
        result = await server.answer(request, context)
        if not isinstance(result, StreamingResult):
            return JsonAnswer(result.json)
        head = b"".join([frame async for frame in result])
    except ValidationError:
        raise
    except ValueError as error:
        # The SDK's way to say that the item in question does not fit the request.
        raise ItemConflictError() from error
    if context.failure is not None:
        raise context.failure
    return StreamAnswer(head, context.run)
