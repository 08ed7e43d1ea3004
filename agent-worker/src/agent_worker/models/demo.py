"""The demo model: deterministic, without a key, with real tool calls; for trials, load and fault tests."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast
from uuid import uuid4

from agents import Model, ModelResponse, ModelSettings, ModelTracing, Tool, TResponseInputItem, Usage
from agents.agent_output import AgentOutputSchemaBase
from agents.handoffs import Handoff
from agents.items import TResponseOutputItem, TResponseStreamEvent
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
)
from openai.types.responses.response_prompt_param import ResponsePromptParam

from agent_worker.models.demo_answers import INTRODUCTION, answer_to
from agent_worker.models.demo_language import Intent, understand

MODEL_NAME = "threadkeep-demo"
MAX_NUMBER = 100_000
_WORDS = re.compile(r"/words (\d+)")
_ADD = re.compile(r"/add (\d+)")


class DemoModel(Model):
    """Understands plain English about the five task tools, `/words N` and `/add N`; says what it is otherwise.

    `tokens_per_second` is the pace of its text, one word a token.
    """

    def __init__(self, tokens_per_second: float) -> None:
        self._seconds_per_token = 1 / tokens_per_second

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """Return the whole response at once."""
        async for event in self.stream_response(*args, **kwargs):
            if isinstance(event, ResponseCompletedEvent):
                return ModelResponse(
                    output=event.response.output, usage=Usage(requests=1), response_id=event.response.id
                )
        raise AssertionError("a demo response always completes")

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """Stream the response in the Responses API's events, text word by word."""
        decision = decide(input)
        if isinstance(decision, Intent):
            item: TResponseOutputItem = ResponseFunctionToolCall(
                type="function_call",
                id=f"fc_{uuid4().hex}",
                call_id=f"call_{uuid4().hex}",
                name=decision.tool,
                arguments=json.dumps(decision.arguments, ensure_ascii=False),
            )
            yield ResponseOutputItemAddedEvent(
                type="response.output_item.added", item=item, output_index=0, sequence_number=0
            )
        else:
            item = _message(decision)
            async for event in self._text(item, decision):
                yield event
        yield ResponseOutputItemDoneEvent(
            type="response.output_item.done", item=item, output_index=0, sequence_number=0
        )
        yield ResponseCompletedEvent(type="response.completed", response=_response(item), sequence_number=0)

    async def _text(self, item: ResponseOutputMessage, text: str) -> AsyncIterator[TResponseStreamEvent]:
        empty = item.model_copy(update={"content": [], "status": "in_progress"})
        yield ResponseOutputItemAddedEvent(
            type="response.output_item.added", item=empty, output_index=0, sequence_number=0
        )
        loop = asyncio.get_running_loop()
        due = loop.time()
        delta = ResponseTextDeltaEvent(
            type="response.output_text.delta",
            item_id=item.id,
            output_index=0,
            content_index=0,
            delta="",
            logprobs=[],
            sequence_number=0,
        )
        for token in re.findall(r"\S+\s*", text):
            due += self._seconds_per_token
            # The pace is kept over the whole text: a late wake-up is made good by the next ones.
            await asyncio.sleep(max(0.0, due - loop.time()))
            # A copy costs 4 µs, the SDK's `model_construct` 86.
            yield delta.model_copy(update={"delta": token})


def decide(model_input: str | Sequence[TResponseInputItem]) -> Intent | str:
    """Return the next tool call, or the text to say, from the conversation alone: the same input, the same answer."""
    sentence, exchanges = _newest_turn(model_input)
    if match := _WORDS.fullmatch(sentence):
        return " ".join(str(number) for number in range(1, min(int(match[1]), MAX_NUMBER) + 1))
    if match := _ADD.fullmatch(sentence):
        return _add_many(min(int(match[1]), MAX_NUMBER), exchanges)
    if exchanges:
        intent, output = exchanges[-1]
        return answer_to(intent.tool, intent.arguments, output)
    return understand(sentence) or INTRODUCTION


def _add_many(count: int, exchanges: Sequence[tuple[Intent, str]]) -> Intent | str:
    if len(exchanges) < count:
        return Intent("add_task", {"title": f"task {len(exchanges) + 1}"})
    failed = sum(
        1 for intent, output in exchanges if answer_to(intent.tool, intent.arguments, output).startswith("That")
    )
    return f"I added {count - failed} tasks." + (f" {failed} did not work." if failed else "")


def _newest_turn(model_input: str | Sequence[TResponseInputItem]) -> tuple[str, list[tuple[Intent, str]]]:
    """Return the newest user message and the tool calls made since, each with its output."""
    if isinstance(model_input, str):
        return model_input.strip(), []
    sentence = ""
    intents: dict[str, Intent] = {}
    exchanges: list[tuple[Intent, str]] = []
    for item in cast("Sequence[dict[str, Any]]", model_input):
        if item.get("role") == "user":
            sentence, exchanges = _text_of(item.get("content")), []
        elif item.get("type") == "function_call":
            intents[item["call_id"]] = Intent(item["name"], json.loads(item["arguments"] or "{}"))
        elif item.get("type") == "function_call_output" and item["call_id"] in intents:
            exchanges.append((intents[item["call_id"]], _text_of(item.get("output"))))
    return sentence.strip(), exchanges


def _text_of(content: object) -> str:
    """Return the text of a message's content or a tool's output, given as text or as a list of parts."""
    if isinstance(content, str):
        return content
    parts = cast("list[dict[str, Any]]", content if isinstance(content, list) else [])
    return "".join(str(part.get("text", "")) for part in parts)


def _message(text: str) -> ResponseOutputMessage:
    content = ResponseOutputText(type="output_text", text=text, annotations=[])
    return ResponseOutputMessage(
        id=f"msg_{uuid4().hex}", type="message", role="assistant", status="completed", content=[content]
    )


def _response(item: TResponseOutputItem) -> Response:
    return Response(
        id=f"resp_{uuid4().hex}",
        created_at=0,
        model=MODEL_NAME,
        object="response",
        output=[item],
        parallel_tool_calls=False,
        tool_choice="auto",
        tools=[],
    )
