"""Steps of the SDK's scripted model: what the model says and calls, and where it waits for the test."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from agents.items import TResponseOutputItem, TResponseStreamEvent
from agents.testing import ModelStep
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
)


def says(text: str) -> TResponseOutputItem:
    """A message of the model's."""
    content = ResponseOutputText(type="output_text", text=text, annotations=[])
    return ResponseOutputMessage(
        id=f"msg_{uuid4().hex}", type="message", role="assistant", status="completed", content=[content]
    )


def calls(name: str, call_id: str = "call_1", **arguments: Any) -> TResponseOutputItem:
    """A tool call of the model's."""
    return raw_call(name, json.dumps(arguments), call_id)


def raw_call(name: str, arguments: str, call_id: str = "call_1") -> TResponseOutputItem:
    """A tool call with arguments as the model wrote them, right or wrong."""
    return ResponseFunctionToolCall(type="function_call", call_id=call_id, name=name, arguments=arguments)


def says_and_waits(text: str, spoken: asyncio.Event, release: asyncio.Event) -> ModelStep:
    """A model that says something, sets `spoken`, and says no more until `release` is set; then it breaks off."""

    async def stream(_: object) -> AsyncIterator[TResponseStreamEvent]:
        yield ResponseTextDeltaEvent(
            type="response.output_text.delta",
            item_id="msg_1",
            output_index=0,
            content_index=0,
            delta=text,
            logprobs=[],
            sequence_number=0,
        )
        spoken.set()
        await release.wait()

    return ModelStep.stream(stream)
