"""A model server of an OpenAI-compatible kind: the far edge of the network, played by a script."""

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import StreamingResponse

Json = dict[str, Any]
TOOL = "add_task"
ARGUMENTS = json.dumps({"title": "buy milk"})
WORDS = ("It ", "is ", "there.")


def create_model_server(seen: list[Json], go_on: asyncio.Event, hung_up: asyncio.Event | None = None) -> FastAPI:
    """Make a server that calls `add_task` first and, given its output, says `WORDS`.

    `seen` gets each request. After the first word the server waits for `go_on`, or until its client closes the
    connection, which sets `hung_up`.
    """
    app = FastAPI()

    async def paced(request: Request, frames: AsyncGenerator[str]) -> AsyncGenerator[str]:
        async for frame in frames:
            yield frame
            if WORDS[0] not in frame:
                continue
            try:
                await _either(go_on.wait(), _disconnected(request))
            finally:
                if hung_up is not None and not go_on.is_set():
                    hung_up.set()

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> StreamingResponse:  # pyright: ignore[reportUnusedFunction]
        body: Json = await request.json()
        seen.append({"authorization": request.headers.get("authorization"), **body})
        answered = body["messages"][-1]["role"] == "tool"
        return StreamingResponse(paced(request, _completion(answered)), media_type="text/event-stream")

    @app.post("/v1/responses")
    async def responses(request: Request) -> StreamingResponse:  # pyright: ignore[reportUnusedFunction]
        body: Json = await request.json()
        seen.append({"authorization": request.headers.get("authorization"), **body})
        answered = body["input"][-1].get("type") == "function_call_output"
        return StreamingResponse(paced(request, _response(answered)), media_type="text/event-stream")

    return app


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _either(*waits: Coroutine[Any, Any, object]) -> None:
    tasks = {asyncio.create_task(wait) for wait in waits}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _completion(answered: bool) -> AsyncGenerator[str]:
    """Stream chat completion chunks: text, or a tool call in two pieces."""
    halves = (ARGUMENTS[:9], ARGUMENTS[9:])
    call: Json = {"index": 0, "id": "call_1", "type": "function", "function": {"name": TOOL, "arguments": ""}}
    pieces: list[Json] = [{"tool_calls": [call]}]
    pieces += [{"tool_calls": [{"index": 0, "function": {"arguments": half}}]} for half in halves]
    deltas: list[Json] = [{"content": word} for word in WORDS] if answered else pieces
    chunk: Json = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "stub"}
    for delta in deltas:
        yield f"data: {json.dumps({**chunk, 'choices': [{'index': 0, 'delta': {'role': 'assistant', **delta}}]})}\n\n"
    reason = "stop" if answered else "tool_calls"
    yield f"data: {json.dumps({**chunk, 'choices': [{'index': 0, 'delta': {}, 'finish_reason': reason}]})}\n\n"
    yield "data: [DONE]\n\n"


async def _response(answered: bool) -> AsyncGenerator[str]:
    """Stream events of the Responses API."""
    text: Json = {"type": "output_text", "text": "".join(WORDS), "annotations": []}
    message: Json = {"id": "m1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
    call: Json = {"id": "f1", "type": "function_call", "call_id": "call_1", "name": TOOL, "arguments": ARGUMENTS}
    item = message if answered else call
    place: Json = {"item_id": "m1", "output_index": 0, "content_index": 0}
    events: list[Json] = [
        {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
        for word in (WORDS if answered else ())
    ]
    whole: Json = {"id": "r1", "object": "response", "created_at": 0, "model": "stub", "output": [item]}
    whole |= {"parallel_tool_calls": False, "tool_choice": "auto", "tools": [], "status": "completed"}
    whole["usage"] = {
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    events.append({"type": "response.completed", "response": whole})
    for number, event in enumerate(events):
        yield f"event: {event['type']}\ndata: {json.dumps({'sequence_number': number, **event})}\n\n"
