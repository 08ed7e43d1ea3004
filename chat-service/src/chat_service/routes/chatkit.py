"""The ChatKit protocol: one route for all its requests."""

from fastapi import APIRouter
from starlette.responses import Response

from chat_service.dependencies import BoundedBody, CurrentChat, CurrentResources
from chat_service.responses import STREAM_HEADERS, FrameStreamResponse
from chat_service.services.chat import JsonAnswer, answer_chatkit
from chat_service.stream_route import StreamRoute
from service_kit.openapi import problem_document

router = APIRouter(route_class=StreamRoute)


@router.post(
    "/chatkit",
    summary="Answer a ChatKit request, as JSON or as server-sent events",
    responses={status: problem_document(status) for status in (403, 404, 409, 413, 422, 429, 501)},
)
async def post_chatkit(context: CurrentChat, body: BoundedBody, resources: CurrentResources) -> Response:
    """Serve one request of `chatkit.types.ChatKitReq`."""
    answer = await answer_chatkit(resources.server, body, context)
    if isinstance(answer, JsonAnswer):
        return Response(answer.body, media_type="application/json")
    if answer.run is None:
        return Response(answer.head, media_type=FrameStreamResponse.media_type, headers=STREAM_HEADERS)
    return resources.stream(context.history, answer.run, head=answer.head)
