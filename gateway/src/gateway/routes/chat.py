"""The main chat endpoint."""

from typing import Annotated

from fastapi import Depends, Header
from starlette.responses import Response

from contracts.chat import ChatAnswer, ChatRequest
from gateway.dependencies import CurrentCaller
from gateway.forwarding.targets import CHAT_STREAM
from gateway.routes.documentation import create_router, event_stream, json_body, problems

router = create_router("chat")


def repeatable(
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=255, description="The same key again gives the same run.")
    ] = None,
) -> None:
    """Document the header by which a request can be repeated."""


@router.post(
    "/chat",
    summary="Say something and get the answer",
    description=(
        "Stores the message, in a new conversation if none is named, and answers when its run has ended: 200, or 202 "
        "with what there is so far after `CHAT_ANSWER_SECONDS`. With `Accept: text/event-stream` it answers with the "
        "run's events instead, as `GET …/runs/{run_id}/events` does. A client that leaves does not stop the run."
    ),
    response_model=ChatAnswer,
    responses={
        200: {"content": event_stream("")["content"]},
        202: {"description": "The run has not ended yet.", "model": ChatAnswer},
        **problems(403, 404, 409, 413, 422, 429),
    },
    openapi_extra=json_body(ChatRequest),
    dependencies=[Depends(repeatable)],
)
def chat(caller: CurrentCaller) -> Response:
    """Forward to the chat-service."""
    return caller.forward(CHAT_STREAM, "/chat")
