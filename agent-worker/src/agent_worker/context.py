"""What the model gets to see: stored messages as input items of the Responses API. Pure."""

import json
from collections.abc import Iterable, Mapping

from agents import TResponseInputItem
from openai.types.responses import EasyInputMessageParam, ResponseFunctionToolCallParam
from openai.types.responses.response_input_item_param import FunctionCallOutput

from contracts.conversations import ToolCall
from contracts.runs import ContextMessage

INTERRUPTED = "The call was interrupted; whether it had an effect is not known."
TITLE_LENGTH = 60


def to_input(
    messages: Iterable[ContextMessage], finished: Mapping[str, ToolCall] | None = None
) -> list[TResponseInputItem]:
    """Turn stored messages into model input, each tool call right before its output.

    `finished` gives, by call id, calls that got their result after the messages were read.
    """
    items: list[TResponseInputItem] = []
    for message in messages:
        if message.tool_calls:
            for call in message.tool_calls:
                items.extend(_tool_exchange((finished or {}).get(call.id, call)))
        elif message.content:
            items.append(EasyInputMessageParam(role=message.role, content=message.content, type="message"))
    return items


def _tool_exchange(call: ToolCall) -> list[TResponseInputItem]:
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return [
        ResponseFunctionToolCallParam(type="function_call", call_id=call.id, name=call.name, arguments=arguments),
        FunctionCallOutput(
            type="function_call_output", call_id=call.id, output=INTERRUPTED if call.output is None else call.output
        ),
    ]


def unfinished_calls(messages: Iterable[ContextMessage], run_id: str) -> list[tuple[ContextMessage, ToolCall]]:
    """Return the run's tool calls whose intent is stored and whose result is not."""
    own = [message for message in messages if message.run_id == run_id]
    return [(message, call) for message in own for call in message.tool_calls if call.status == "in_progress"]


def title_of(messages: Iterable[ContextMessage]) -> str | None:
    """Return a conversation's title: the beginning of its first user message, cut at a word."""
    text = next((message.content for message in messages if message.role == "user" and message.content.strip()), "")
    line = " ".join(text.split())
    if len(line) <= TITLE_LENGTH:
        return line or None
    return line[:TITLE_LENGTH].rsplit(" ", 1)[0] + "…"
