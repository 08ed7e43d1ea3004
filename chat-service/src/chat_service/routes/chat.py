"""The main chat endpoint."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Request
from pydantic import ValidationError
from starlette.responses import Response

from chat_service.dependencies import BoundedBody, ChatPrincipal, CurrentResources, CurrentSettings, History
from chat_service.relay.reader import RunReader
from chat_service.responses import RUN_ID_HEADER, FrameStreamResponse
from chat_service.services.asking import Ids, answer_of, ask, wait_for_end
from chat_service.stream_route import StreamRoute
from contracts.chat import ChatAnswer, ChatRequest
from contracts.runs import TERMINAL_STATUSES
from service_kit.openapi import problem_document
from service_kit.problems import invalid_request

router = APIRouter(route_class=StreamRoute)

MAX_KEY_LENGTH = 255

Accept = Annotated[str, Header()]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=MAX_KEY_LENGTH)]


@router.post(
    "/chat",
    summary="Say something and get the answer",
    response_model=ChatAnswer,
    responses={
        202: {"description": "The run has not ended yet: what there is so far", "model": ChatAnswer},
        **{status: problem_document(status) for status in (403, 404, 409, 413, 422, 429)},
    },
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": ChatRequest.model_json_schema()}}}
    },
)
async def post_chat(
    request: Request,
    caller: ChatPrincipal,
    history: History,
    body: BoundedBody,
    resources: CurrentResources,
    settings: CurrentSettings,
    accept: Accept = "",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Answer as JSON at the run's end or, if server-sent events are accepted, with the run's events.

    A client that leaves changes nothing about the run (but see `DISCONNECT_POLICY`).
    """
    ids = Ids(resources.id_secret, caller.user_id or "", idempotency_key)
    run = await ask(resources.runs, history, _parsed(body), ids)
    if FrameStreamResponse.media_type in accept:
        return resources.stream(history, run, run_frames=True)
    reader = resources.relay.reader(history, run)
    watcher = asyncio.create_task(_stop_on_disconnect(request, reader))
    try:
        await wait_for_end(reader, run, settings.chat_answer_seconds)
    finally:
        watcher.cancel()
    if watcher.done():
        resources.departures.note(history, run)
    answer = await answer_of(history, run.id)
    status = 200 if answer.run.status in TERMINAL_STATUSES else 202
    return Response(answer.model_dump_json(), status, {RUN_ID_HEADER: run.id}, "application/json")


def _parsed(body: bytes) -> ChatRequest:
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise invalid_request(error) from error


async def _stop_on_disconnect(request: Request, reader: RunReader) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    reader.stop()
