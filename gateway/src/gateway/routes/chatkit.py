"""The ChatKit protocol."""

from starlette.responses import Response

from gateway.dependencies import CurrentCaller
from gateway.forwarding.targets import CHAT_STREAM
from gateway.routes.documentation import create_router, event_stream, json_body, problems

router = create_router("chat", sessions=True)


@router.post(
    "/chatkit",
    summary="Speak the ChatKit protocol",
    description="Every request type of ChatKit. Answers with JSON or with server-sent events, as the type has it.",
    response_model=None,
    responses={
        200: event_stream("The request's answer, or its events."),
        **problems(403, 404, 409, 413, 422, 429, 501),
    },
    openapi_extra=json_body(),
)
def chatkit(caller: CurrentCaller) -> Response:
    """Forward to the chat-service."""
    return caller.forward(CHAT_STREAM, "/chatkit")
